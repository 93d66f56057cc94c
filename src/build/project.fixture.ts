/**
 * A project of an author's in a folder of its own, with a small SDK beside it, for this room's tests.
 *
 * The small SDK keeps the parts that the builder relies on (the entries, the world's imports) and
 * none of the web APIs, so that a build takes no longer than the engine itself.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { BuildRequest, Toolchain } from "./contract.ts";
import { ownToolchain } from "./toolchain.ts";

export interface Project extends Disposable {
  readonly directory: string;
  readonly toolchain: Toolchain;
  path(file: string): string;
  /** Writes files, folders included. */
  write(files: Record<string, string | Uint8Array>): void;
  request(source: string, changes?: Partial<BuildRequest>): BuildRequest;
}

export function createProject(files: Record<string, string | Uint8Array> = {}): Project {
  const root = mkdtempSync(join(tmpdir(), "cytoplane-build-"));
  const directory = join(root, "app");
  const write = (folder: string, contents: Record<string, string | Uint8Array>) => {
    for (const [name, content] of Object.entries(contents)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
  };
  write(join(root, "sdk"), smallSdk);
  write(directory, files);
  return {
    directory,
    toolchain: { ...ownToolchain, sdkDirectory: join(root, "sdk") },
    path: (file) => join(directory, file),
    write: (contents) => write(directory, contents),
    request: (source, changes) => ({
      service: "catalog",
      source: join(directory, source),
      engine: "quickjs",
      cacheDirectory: join(directory, ".cyto/build"),
      ...changes,
    }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

const smallSdk = {
  "package.json": JSON.stringify({
    name: "@cytoplane/sdk",
    type: "module",
    exports: { ".": "./src/index.ts", "./globals": "./src/globals.ts", "./runtime": "./src/runtime.ts" },
  }),
  "src/globals.ts": "Object.assign(globalThis, { greeting: 'hello' });\n",
  "src/index.ts": `import timers from "cytoplane:service/timers@0.1.0";
export const now = (): number => timers.now();
export const call = (action: () => void): void => action();
`,
  "src/runtime.ts": `import reply from "cytoplane:service/reply@0.1.0";
type Service = { fetch(request: { url: string }): Promise<string> };
export function createHandler(service: Service) {
  return {
    async start(call: number, request: { url: string }) {
      try {
        const text = await service.fetch(request);
        reply.respond(call, { status: 200, fields: "", body: { tag: "text", val: text } });
      } catch (error) {
        const { message, stack } = error as Error;
        reply.fail(call, { code: "error", message, stack: stack ?? null });
      }
    },
    async resume() {},
    async cancel() {},
  };
}
`,
};
