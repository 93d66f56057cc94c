/** wasi:cli: arguments, environment, exit, and the three standard streams. */
import type { Grants } from "../contract.ts";
import { Exit } from "./exit.ts";
import type { StandardIo } from "./stdio.ts";

class TerminalInput {}
class TerminalOutput {}

export function cli(grants: Grants, { stdin, stdout, stderr, terminals }: StandardIo) {
  const exit = (status: number): never => {
    throw new Exit(grants.service, status);
  };
  return {
    "wasi:cli/environment": {
      getEnvironment: () => grants.environment,
      getArguments: () => grants.args,
      initialCwd: () => undefined,
    },
    "wasi:cli/exit": {
      exit: (status: { readonly tag: "ok" | "err" }) => exit(status.tag === "ok" ? 0 : 1),
      exitWithCode: (code: number) => exit(code),
    },
    "wasi:cli/stdin": { getStdin: () => stdin },
    "wasi:cli/stdout": { getStdout: () => stdout },
    "wasi:cli/stderr": { getStderr: () => stderr },
    "wasi:cli/terminal-input": { TerminalInput },
    "wasi:cli/terminal-output": { TerminalOutput },
    "wasi:cli/terminal-stdin": { getTerminalStdin: () => (terminals.stdin ? new TerminalInput() : undefined) },
    "wasi:cli/terminal-stdout": { getTerminalStdout: () => (terminals.stdout ? new TerminalOutput() : undefined) },
    "wasi:cli/terminal-stderr": { getTerminalStderr: () => (terminals.stderr ? new TerminalOutput() : undefined) },
  };
}
