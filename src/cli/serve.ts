import { basename, extname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { App } from "../cell/manifest/contract.ts";
import { addManual, type Context, type Frame, pairs, runs, several } from "./command.ts";
import { UsageError } from "./failure.ts";
import { readComponent } from "./inspect.ts";
import { addListenOptions, type ListenOptions, start, untilStopped } from "./running.ts";

type Pairs = Readonly<Record<string, string>>;

interface ServeOptions extends ListenOptions {
  readonly dir?: Pairs;
  readonly env?: Pairs;
  readonly config?: Pairs;
  readonly keyvalue?: Pairs;
  readonly egress?: readonly string[];
  readonly listen?: readonly string[];
}

/** `cyto serve`: one component, without a manifest. */
export function addServe(program: Command, frame: Frame): void {
  const command = program
    .command("serve")
    .summary("serve one component, without a manifest")
    .description("Serves any component that takes requests. It reaches what the flags give it, and nothing else.")
    .argument("<component.wasm>", "the component's file")
    .option("--dir <guest=host>", "let it read a directory: /data=./data", pairs)
    .option("--env <NAME=value>", "an environment variable", pairs)
    .option("--config <name=value>", "a configuration value", pairs)
    .option("--keyvalue <name=provider>", "a keyvalue binding: default=sqlite", pairs)
    .option("--egress <host>", "let it reach a host: api.example.com, tcp://db.internal:5432", several)
    .option("--listen <address>", "let its sockets be reached: tcp://0.0.0.0:5000", several);
  addListenOptions(command, "one a core").action(runs(frame, serve));
  addManual(command, {
    examples: [
      ["cyto serve hello.wasm", "every request goes to it"],
      ["cyto serve app.wasm --keyvalue default=memory --env MODE=fast", "with a binding and a variable"],
      ["cyto serve app.wasm --port 0 --json", "one line of JSON when it answers"],
    ],
    notes: ["All flags but the addresses may be given several times.", "cyto inspect shows what a component needs."],
  });
}

async function serve(context: Context, [place = ""]: readonly string[], options: ServeOptions): Promise<void> {
  const startMs = performance.now();
  readComponent(resolve(context.terminal.cwd, place), place);
  const app = await toApp(context, place, options);
  const cell = await start(context, app, new Map(), { ...options, startMs });
  await untilStopped(context);
  await cell.close();
}

/** The flags as a manifest (JSON is YAML), so that the same checks read them. */
async function toApp({ terminal }: Context, place: string, options: ServeOptions): Promise<App> {
  const name = basename(place, extname(place))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|-+$/g, "");
  const service = name === "" ? "component" : name.slice(0, 63);
  const bindings = Object.entries(options.keyvalue ?? {}).map(([binding, keyvalue]) => [binding, { keyvalue }]);
  const manifest = {
    app: service,
    services: {
      [service]: {
        component: place,
        routes: ["/*"],
        bindings: Object.fromEntries(bindings),
        config: options.config ?? {},
        environment: options.env ?? {},
        directories: options.dir ?? {},
        egress: options.egress ?? [],
        listen: options.listen ?? [],
      },
    },
  };
  const { parseManifest } = await import("../cell/manifest/parse.ts");
  const { app, diagnostics } = parseManifest(JSON.stringify(manifest), join(terminal.cwd, "cyto.yaml"));
  if (app !== undefined) return app;
  const { message, hint, path } = diagnostics.find(({ severity }) => severity === "error") ?? { message: "", path: "" };
  const about = path.replace(`services.${service}.`, "");
  throw new UsageError(`Cannot serve ${place}: ${about}: ${message}`, hint);
}
