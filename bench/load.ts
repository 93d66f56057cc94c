/** The load generators: wrk where it is installed, else autocannon, which npm brings. Each is a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Load, LoadResult } from "./contract.ts";

export async function chooseLoad(name: string | undefined): Promise<Load> {
  if (name === "autocannon") return autocannon;
  if (name !== undefined && name !== "wrk") throw new Error(`Cannot drive with ${name}: choose wrk or autocannon`);
  const installed = await run("wrk", ["-v"]).then(
    () => true,
    () => false,
  );
  if (!installed && name === "wrk") throw new Error("Cannot drive with wrk: it is not installed");
  return installed ? wrk : autocannon;
}

const wrk: Load = {
  name: "wrk",
  async drive(url, connections, seconds, body) {
    const args = ["-t1", `-c${connections}`, `-d${Math.ceil(seconds)}s`, "--latency", "--timeout", "10s"];
    if (body !== undefined) args.push("-s", await posting(body));
    args.push(url);
    const { output } = await run("wrk", args);
    const number = (pattern: RegExp): string[] | null => pattern.exec(output);
    const failed = number(/Socket errors: .*/)?.[0] ?? number(/Non-2xx or 3xx responses: \d+/)?.[0];
    const rate = number(/Requests\/sec:\s+([\d.]+)/)?.[1];
    if (failed || rate === undefined) throw new Error(`Cannot measure ${url}: ${failed ?? output}`);
    const latency = (share: string) => {
      const [, value, unit] = number(new RegExp(`${share}%\\s+([\\d.]+)(us|ms|s)`)) ?? [];
      return Number(value) * (unit === "us" ? 0.001 : unit === "s" ? 1000 : 1);
    };
    return { perSecond: Number(rate), p50Ms: latency("50"), p99Ms: latency("99") };
  },
};

const autocannon: Load = {
  name: "autocannon",
  async drive(url, connections, seconds, body): Promise<LoadResult> {
    const program = fileURLToPath(import.meta.resolve("autocannon"));
    const args = [program, "--json", "-c", String(connections), "-d", String(seconds)];
    if (body !== undefined) args.push("-m", "POST", "-i", body);
    args.push(url);
    const { output } = await run(process.execPath, args);
    const result = JSON.parse(output) as {
      requests: { average: number };
      latency: { p50: number; p99: number };
      errors: number;
      non2xx: number;
    };
    if (result.errors + result.non2xx > 0)
      throw new Error(`Cannot measure ${url}: ${result.errors} errors, ${result.non2xx} answers other than 2xx`);
    return { perSecond: result.requests.average, p50Ms: result.latency.p50, p99Ms: result.latency.p99 };
  },
};

/** wrk takes a body from a script only. */
async function posting(body: string): Promise<string> {
  const script = `${body}.lua`;
  const open = `local file = io.open(${JSON.stringify(body)}, "rb")`;
  await writeFile(script, `${open}\nwrk.method = "POST"\nwrk.body = file:read("*a")\n`);
  return script;
}

async function run(command: string, args: readonly string[]): Promise<{ readonly output: string }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
  // Its CPU time counts as its parent's children's once it has gone.
  const gone = once(child, "exit");
  const [output] = await Promise.all([text(child.stdout), gone]);
  return { output };
}
