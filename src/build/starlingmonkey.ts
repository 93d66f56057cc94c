/**
 * StarlingMonkey (componentize-js): on request. 12 MB, ten seconds to build, all web APIs built in, and a
 * component that runs on any host of `wasi:http`.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineAdapter, EvaluationFailure } from "./engine.ts";

export const starlingmonkey: EngineAdapter = {
  entry: (service) => `
import service from ${service};
import { serve } from "@cytoplane/sdk/starlingmonkey";
if (typeof service?.fetch !== "function") throw new TypeError("cytoplane:no-fetch");
export const incomingHandler = serve(service);
`,
  wit: (toolchain) => join(toolchain.sdkDirectory, "wit"),
  tool: "@bytecodealliance/componentize-js",
  timeoutMs: 180_000,

  async componentize(code, witPath) {
    const { componentize } = await import("@bytecodealliance/componentize-js");
    const directory = await mkdtemp(join(tmpdir(), "cytoplane-"));
    try {
      const sourcePath = join(directory, "service.js");
      await writeFile(sourcePath, code);
      const { component } = await componentize({ sourcePath, witPath });
      return component;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },

  failure(message): EvaluationFailure {
    const thrown = /Exception while evaluating top-level script\n\S+?:\d+:\d+ (?:\w*Error: )?(.*)/.exec(message)?.[1];
    if (thrown === undefined) return { stack: "" };
    return { thrown, stack: /\nStack:\n([\s\S]*)/.exec(message)?.[1] ?? "" };
  },
};
