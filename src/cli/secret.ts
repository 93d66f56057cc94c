import { join } from "node:path";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Command } from "commander";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { Interrupted, UsageError } from "./failure.ts";
import { requireApp } from "./project.ts";

interface SecretOptions {
  readonly project: string;
}

/** `cyto secret`: what the services' `secrets:` name, kept in an encrypted file. */
export function addSecret(program: Command, frame: Frame): void {
  const secret = program
    .command("secret")
    .summary("set, list and remove secrets")
    .description("Keeps the secrets that services name under `secrets:`, encrypted. A value is never an argument.")
    .option("-C, --project <dir>", "the project's folder, or its manifest", ".");
  secret
    .command("set")
    .argument("<name>", "the secret's name")
    .description("Asks for the value without showing it, or takes it from standard input.")
    .action(runs(frame, setSecret));
  secret.command("list").description("Lists the names, and which services read them.").action(runs(frame, listSecrets));
  secret
    .command("rm")
    .argument("<name>", "the secret's name")
    .description("Forgets a secret.")
    .action(runs(frame, removeSecret));
  addManual(secret, {
    examples: [
      ["cyto secret set PAYMENT_KEY", "asks for the value"],
      ["cyto secret set PAYMENT_KEY < key.txt", "takes it from a file, without the last line feed"],
      ["cyto secret list", "names, never values"],
    ],
    notes: ["The file is encrypted: .cyto/secrets.json, its key .cyto/secret.key or CYTO_SECRET_KEY."],
  });
}

async function setSecret(context: Context, [name = ""]: readonly string[], options: SecretOptions): Promise<void> {
  const { app, secrets } = await open(context, options);
  const value = await readValue(context, name);
  if (value === "")
    throw new UsageError(`Cannot set the secret ${name}: the value is empty`, "give it on standard input, or type it");
  await secrets.set(name, value);
  context.output.event("secret", { name, state: "set" });
  context.output.print(`${context.output.paint.green("set")} ${name}`);
  const readers = readersOf(app, name);
  if (readers.length === 0) context.output.note(`no service reads it yet: add it under a service's secrets: [${name}]`);
}

async function listSecrets(context: Context, _: readonly string[], options: SecretOptions): Promise<void> {
  const { app, secrets } = await open(context, options);
  const known = new Set((await secrets.list()).map((entry) => entry.name));
  const needed = Object.values(app.services).flatMap((service) => service.secrets);
  const names = [...new Set([...known, ...needed])].sort();
  if (names.length === 0) context.output.note("there are no secrets, and no service asks for one");
  for (const name of names) {
    const services = readersOf(app, name);
    const set = known.has(name);
    context.output.event("secret", { name, set, services });
    const { dim, yellow } = context.output.paint;
    const readers = services.length > 0 ? `read by ${services.join(", ")}` : "read by no service";
    context.output.print(`${name}  ${set ? dim(readers) : yellow(`missing, ${readers}`)}`);
  }
}

async function removeSecret(context: Context, [name = ""]: readonly string[], options: SecretOptions): Promise<void> {
  const { secrets } = await open(context, options);
  await secrets.remove(name);
  context.output.event("secret", { name, state: "removed" });
  context.output.print(`removed ${name}`);
}

async function open(context: Context, options: SecretOptions) {
  const app = await requireApp(context, options.project, undefined);
  const { openSecrets } = await import("../cell/secrets.ts");
  return {
    app,
    secrets: openSecrets({ stateDirectory: join(app.directory, ".cyto"), variables: context.terminal.env }),
  };
}

function readersOf(
  app: { readonly services: Readonly<Record<string, { readonly secrets: readonly string[] }>> },
  name: string,
): string[] {
  return Object.entries(app.services).flatMap(([service, { secrets }]) => (secrets.includes(name) ? [service] : []));
}

const valueBytesMax = 64 * 1024;

/** From a terminal without echo; else all of standard input, without the last line feed. */
async function readValue({ terminal }: Context, name: string): Promise<string> {
  const { stdin, stderr } = terminal;
  if (stdin.isTTY === true) {
    // Reading begins before the question is asked: what is typed in between must not be echoed either.
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: stdin, output: nowhere, terminal: true });
    stderr.write(`value of ${name} (not shown): `);
    try {
      return await new Promise<string>((resolve, reject) => {
        lines.once("line", resolve);
        lines.once("SIGINT", () => reject(new Interrupted()));
        lines.once("close", () => reject(new Interrupted()));
      });
    } finally {
      lines.close();
      stderr.write("\n");
    }
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    length += bytes.byteLength;
    if (length > valueBytesMax) throw new UsageError(`Cannot set the secret ${name}: the value is longer than 64 KiB`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
