import { dirname, join } from "node:path";
import { type Command, Option } from "commander";
import type { CellRecord } from "../cell/contract.ts";
import { addManual, type Context, type Frame, runs, wholeNumber } from "./command.ts";
import { openLogs, watchLogs } from "./log-reader.ts";
import type { Output } from "./output.ts";
import { manifestFile } from "./project.ts";
import { formatRecord, logLevels } from "./record.ts";

interface LogsOptions {
  readonly follow?: boolean;
  readonly service?: string;
  readonly level: string;
  readonly request?: string;
  readonly lines: number;
}

/** `cyto logs`: what the services of a project have logged. */
export function addLogs(program: Command, frame: Frame): void {
  const command = program
    .command("logs")
    .summary("show what services log")
    .description("Shows the last log lines of a project's services, and with -f those that follow.")
    .argument("[dir]", "the project's folder, or its manifest", ".")
    .option("-f, --follow", "go on with what is logged from now")
    .option("-s, --service <name>", "of this service only")
    .option("-r, --request <id>", "of this request only")
    .addOption(new Option("-l, --level <level>", "at least this important").choices([...logLevels]).default("trace"))
    .option("-n, --lines <count>", "how many of the past", wholeNumber(0, 100_000), 100)
    .action(runs(frame, logs));
  addManual(command, {
    examples: [
      ["cyto logs -f", "everything, as it happens"],
      ["cyto logs --service catalog --level warn", "what went wrong in one service"],
      ["cyto logs --request 4f1c… --json", "one request, for programs"],
    ],
    notes: ["The lines are kept under .cyto/logs by `cyto up` and `cyto dev`."],
  });
}

async function logs(context: Context, [place = "."]: readonly string[], options: LogsOptions): Promise<void> {
  const { output, terminal } = context;
  const directory = join(dirname(manifestFile(terminal.cwd, place)), ".cyto", "logs");
  const wanted = (record: CellRecord) => matches(record, options);
  const reader = openLogs(directory);
  const past = reader.read().filter(wanted);
  for (const record of options.lines === 0 ? [] : past.slice(-options.lines)) show(output, record);
  if (!options.follow) {
    if (past.length === 0) output.note("nothing has been logged");
    return;
  }
  const stop = context.stop();
  await new Promise<void>((resolve) => {
    stop.addEventListener("abort", () => resolve(), { once: true });
    watchLogs(directory, stop, () => {
      for (const record of reader.read().filter(wanted)) show(output, record);
    });
    if (stop.aborted) resolve();
  });
}

function matches(record: CellRecord, { service, level, request }: LogsOptions): boolean {
  if (service !== undefined && record.service !== service) return false;
  if (request !== undefined && record.requestId !== request) return false;
  const order: readonly string[] = logLevels;
  return order.indexOf(record.level) >= order.indexOf(level) || !order.includes(record.level);
}

function show(output: Output, record: CellRecord): void {
  output.event("log", record);
  output.print(formatRecord(record, output.paint));
}
