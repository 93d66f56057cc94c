/** The Hono example passes its own suite on Cytoplane, unchanged. */
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { suite } from "../../examples/hono/test/suite.ts";
import { type Running, startCyto } from "./process.ts";

let app: Running;
before(async () => {
  const folder = fileURLToPath(new URL("../../examples/hono", import.meta.url));
  app = await startCyto(["up", folder], { timeoutMs: 120_000 });
});
after(() => app?.[Symbol.asyncDispose]());

suite("Cytoplane", () => app.address);
