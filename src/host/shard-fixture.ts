/** The program of a thread for shards.test.ts: it does what it is told, also when that is to die. */
import { parentPort } from "node:worker_threads";
import { CytoError } from "../kernel/index.ts";
import { createLink, type Link } from "./link.ts";

export interface Trial {
  echo(text: string): string;
  /** Asks the thread that started this one. */
  callHome(text: string): Promise<string>;
  die(how: "exit" | "throw" | "reject" | "memory"): Promise<void>;
  never(): Promise<void>;
  refuse(): never;
}

export interface Home {
  answer(text: string): string;
}

const home: Link<Home> = createLink<Home, Trial>(parentPort!, {
  echo: (text) => text,
  callHome: (text) => home.ask("answer", text),
  async die(how) {
    if (how === "exit") process.exit(7);
    if (how === "throw") setImmediate(() => fail("thrown where nobody catches"));
    if (how === "reject") void Promise.reject(new Error("rejected where nobody catches"));
    const hoard: unknown[] = [];
    while (how === "memory") hoard.push({ kept: [hoard.length] });
    await new Promise(() => {});
  },
  never: () => new Promise(() => {}),
  refuse: () => {
    throw new CytoError("cannot-listen", "Cannot open the gateway: it is taken");
  },
});

function fail(message: string): never {
  throw new Error(message);
}
