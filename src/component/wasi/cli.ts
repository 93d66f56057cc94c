/**
 * wasi:cli: arguments, environment, exit, and the three standard streams.
 *
 * Standard input is empty. What is written to standard output and error becomes lines of the
 * service's log, `info` and `error`, empty ones left out; a line left open is logged when the call ends.
 */
import { CytoError } from "../../kernel/index.ts";
import type { Grants, LogLevel } from "../contract.ts";
import { type ByteSink, chunkBytes, InputStream, OutputStream } from "./io.ts";
import type { HostState } from "./state.ts";

class TerminalInput {}
class TerminalOutput {}

export function cli(grants: Grants, state: HostState) {
  const out = lines("info", "stdout", grants, state);
  const error = lines("error", "stderr", grants, state);
  const exit = (how: string): never => {
    throw new CytoError(
      "instance-trapped",
      `Cannot go on with service ${grants.service}: the guest called exit(${how})`,
    );
  };
  return {
    "wasi:cli/environment": {
      getEnvironment: () => grants.environment,
      getArguments: () => grants.args,
      initialCwd: () => undefined,
    },
    "wasi:cli/exit": {
      exit: (status: { readonly tag: "ok" | "err" }) => exit(status.tag === "ok" ? "0" : "1"),
      exitWithCode: (code: number) => exit(String(code)),
    },
    "wasi:cli/stdin": { getStdin: () => new InputStream(undefined) },
    "wasi:cli/stdout": { getStdout: () => new OutputStream(out) },
    "wasi:cli/stderr": { getStderr: () => new OutputStream(error) },
    "wasi:cli/terminal-input": { TerminalInput },
    "wasi:cli/terminal-output": { TerminalOutput },
    "wasi:cli/terminal-stdin": { getTerminalStdin: () => undefined },
    "wasi:cli/terminal-stdout": { getTerminalStdout: () => undefined },
    "wasi:cli/terminal-stderr": { getTerminalStderr: () => undefined },
  };
}

/** A line longer than this is cut in several. */
const lineLength = 16_384;

function lines(level: LogLevel, context: string, grants: Grants, state: HostState): ByteSink {
  const decoder = new TextDecoder();
  let rest = "";
  state.afterCall.push(() => {
    if (rest !== "") grants.log(level, context, rest, state.call);
    rest = "";
  });
  return {
    room: () => chunkBytes,
    write(bytes) {
      rest += decoder.decode(bytes, { stream: true });
      let start = 0;
      for (
        let end = rest.indexOf("\n");
        end !== -1 || rest.length - start > lineLength;
        end = rest.indexOf("\n", start)
      ) {
        const cut = end === -1 || end - start > lineLength;
        const stop = cut ? start + lineLength : end;
        if (stop > start) grants.log(level, context, rest.slice(start, stop), state.call);
        start = cut ? stop : stop + 1;
      }
      rest = rest.slice(start);
    },
  };
}
