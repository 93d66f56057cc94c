/**
 * Every server that takes part, and how it is started. Each is a process of its own on a port of its own, with
 * one thread that serves: ours have one shard, unless said.
 */
import { once } from "node:events";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { gatewayAddress, startCyto, startProcess } from "../test/e2e/process.ts";
import type { Contender } from "./contract.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const helloSource = here("fixtures/hello/service.ts");
export const helloApp = here("fixtures/hello");
export const shopApp = here("../examples/shop");
export const catalogSource = here("../examples/shop/catalog/service.ts");

export function nodeHttp(program: "node-hello.ts" | "node-product.ts" | "node-echo.ts"): Contender {
  return {
    name: "node:http",
    start: () => startProcess({ args: [here(`fixtures/${program}`)], ready: gatewayAddress }),
  };
}

/** The very source that Cytoplane builds, bundled into one module for workerd. */
export function workerd(source: string, scratch: string): Contender {
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "service.js", esModule = embed "service.js")],
  compatibilityDate = "2026-01-01",
);
`;
  return {
    name: "workerd",
    async start() {
      const folder = join(scratch, `workerd-${source.replaceAll(/\W+/g, "-")}`);
      await mkdir(folder, { recursive: true });
      await using bundle = await rolldown({ input: source, tsconfig: false });
      await bundle.write({ file: join(folder, "service.js"), format: "esm" });
      await writeFile(join(folder, "config.capnp"), config);
      return startProcess({
        command: workerdProgram(),
        args: ["serve", join(folder, "config.capnp"), "--control-fd=3"],
        ready(line) {
          const { event, port } = line.startsWith("{") ? (JSON.parse(line) as { event: string; port: number }) : {};
          return event === "listen" ? `http://127.0.0.1:${port}` : undefined;
        },
      });
    },
  };
}

/** The package's own launcher would be one more process; what it exports is the path of the binary. */
function workerdProgram(): string {
  const { default: path } = createRequire(import.meta.url)("workerd") as { readonly default: string };
  return path;
}

export function jcoServe(component: string): Contender {
  return {
    name: "jco serve",
    async start() {
      const port = await freePort();
      const jco = here("../node_modules/@bytecodealliance/jco/dist/jco.js");
      return startProcess({
        args: [jco, "serve", component, "--port", String(port), "--host", "127.0.0.1"],
        ready: (line) => (line.includes("listening") ? `http://127.0.0.1:${port}` : undefined),
      });
    },
  };
}

/** In a copy, so that what the project itself holds or runs at the moment is left alone. */
export function cytoUp(app: string, scratch: string, name = "cyto up", shards = 1): Contender {
  return {
    name,
    async start() {
      const copy = join(scratch, basename(app));
      await cp(app, copy, { recursive: true, filter: (path) => !path.includes(".cyto") });
      return startCyto(["up", copy], { shards });
    },
  };
}

export function cytoServe(component: string, shards = 1): Contender {
  return { name: "cyto serve", start: () => startCyto(["serve", component], { shards }) };
}

/** jco takes no port 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("Cannot find a free port");
  return address.port;
}
