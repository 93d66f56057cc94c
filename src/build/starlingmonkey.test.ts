import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../component/index.ts";
import { build } from "./build.ts";
import { createProject } from "./project.fixture.ts";

test("build() makes a component of wasi:http with StarlingMonkey, with the SDK's entry for it", async () => {
  using project = createProject({
    "service.ts": `import { config } from "@cytoplane/sdk";
export default {
  async fetch(request: Request): Promise<Response> {
    return new Response(\`\${request.url} \${config("greeting")}\`);
  },
};
`,
  });
  const request = project.request("service.ts", { engine: "starlingmonkey" });
  const built = await build(request);
  const component = await load(built.component);
  assert.equal(component.world, "http");
  assert.ok(component.exports.some((name) => name.startsWith("wasi:http/incoming-handler@0.2.")));
  const again = await build(request);
  assert.deepEqual([again.cached, again.digest], [true, built.digest]);
});
