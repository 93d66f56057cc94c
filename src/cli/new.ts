import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { CytoError } from "../kernel/index.ts";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { UsageError } from "./failure.ts";
import { type TemplateName, templateNames, templates } from "./template.ts";

interface NewOptions {
  readonly template: TemplateName;
  readonly name?: string;
}

/** `cyto new`: a folder with a service that runs. */
export function addNew(program: Command, frame: Frame): void {
  const command = program
    .command("new")
    .summary("begin a project")
    .description("Makes a folder with a manifest, a service, and what an editor needs.")
    .argument("<dir>", "the folder to make; an empty one will do")
    .addOption(new Option("-t, --template <name>", "what to begin with").choices([...templateNames]).default("service"))
    .option("--name <name>", "the app's name (default: the folder's)")
    .action(runs(frame, create));
  addManual(command, {
    examples: [
      ["cyto new my-service", "a service with a counter in a keyvalue binding"],
      ["cyto new api --template hono", "a Hono app"],
    ],
  });
}

async function create(
  { output, terminal }: Context,
  [place = ""]: readonly string[],
  options: NewOptions,
): Promise<void> {
  const directory = resolve(terminal.cwd, place);
  const name = toName(options.name ?? basename(directory));
  if (options.name !== undefined && name !== options.name) {
    throw new UsageError(
      `Cannot name the app "${options.name}": a name is lower-case letters, digits and hyphens, and begins with a letter`,
      name === "" ? "cyto new <dir> --name my-app" : `--name ${name} would do`,
    );
  }
  refuseOccupied(directory, place);
  const { writeEditorConfig } = await import("../build/index.ts");
  const files = templates[options.template](name === "" ? "my-app" : name);
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { flag: "wx" });
  }
  await writeEditorConfig(directory);
  output.event("created", { directory, name, files: Object.keys(files) });
  const { bold, cyan, dim, green } = output.paint;
  const install = "package.json" in files ? [[`cd ${place} && npm install`, "what it depends on"]] : [];
  const steps = [
    ...install,
    [`cyto dev ${place}`, "serves it, and serves it anew when you edit"],
    [`cyto check ${place}`, "finds what is wrong with it"],
  ];
  output.print(`${green("made")} ${bold(place)}: ${Object.keys(files).join(", ")}\n`);
  for (const [line = "", meaning = ""] of steps) output.print(`  ${cyan(line.padEnd(36))} ${dim(meaning)}`);
}

function refuseOccupied(directory: string, place: string): void {
  if (!existsSync(directory)) return;
  if (!statSync(directory).isDirectory()) {
    throw new CytoError("invalid-manifest", `Cannot make the project "${place}": there is a file of that name`, {
      hint: "choose another name",
    });
  }
  // A fresh clone of an empty repository is empty enough.
  const inside = readdirSync(directory).filter((entry) => entry !== ".git");
  if (inside.length === 0) return;
  throw new CytoError(
    "invalid-manifest",
    `Cannot make the project "${place}": the folder is not empty (it holds ${inside.slice(0, 3).join(", ")})`,
    { hint: "name a folder that does not exist, or an empty one" },
  );
}

/** The nearest valid name: `My Service` becomes `my-service`. */
function toName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|-+$/g, "")
    .slice(0, 63);
}
