/** `cyto dev`: an edit is served without a request dropped; one that does not build changes nothing. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Running, startCyto } from "./process.ts";

let folder: string;
let dev: Running;

const greeting = (text: string) => `const greeting: string = ${JSON.stringify(text)};

export default {
  async fetch(): Promise<Response> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return new Response(greeting);
  },
};
`;
const edit = (source: string) => writeFile(join(folder, "service.ts"), source);
const answer = async () => {
  const reply = await fetch(dev.address);
  return `${reply.status} ${await reply.text()}`;
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cyto-dev-"));
  await writeFile(
    join(folder, "cyto.yaml"),
    'app: greeter\nservices:\n  greeter:\n    source: service.ts\n    routes: ["GET /"]\n',
  );
  await edit(greeting("one"));
  dev = await startCyto(["dev", folder], { timeoutMs: 120_000 });
});
after(async () => {
  await dev?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("dev swaps an edited service under load without dropping a request", async () => {
  const edits = ["two", "three", "four"];
  const order = ["one", ...edits];
  const done = new AbortController();
  const clients = Array.from({ length: 4 }, async () => {
    let last = 0;
    let requests = 0;
    while (!done.signal.aborted) {
      const got = await answer();
      const version = order.indexOf(got.replace(/^200 /, ""));
      assert.ok(version >= last, `${got} after ${order[last]}`);
      last = version;
      requests += 1;
    }
    return requests;
  });
  try {
    for (const text of edits) {
      await edit(greeting(text));
      const limit = Date.now() + 30_000;
      while ((await answer()) !== `200 ${text}`) assert.ok(Date.now() < limit, dev.output());
    }
  } finally {
    done.abort();
  }
  for (const requests of await Promise.all(clients)) assert.ok(requests > 0);
});

test("dev keeps the last good version when an edit does not build, and says where", async () => {
  const before = await answer();
  const said = dev.line((line) => /"event":"diagnostic".*service\.ts","line":2,/.test(line));
  await edit("const greeting = 'broken';\nexport default {{\n");
  await said;
  assert.equal(await answer(), before);

  await edit(greeting("mended"));
  const limit = Date.now() + 30_000;
  while ((await answer()) !== "200 mended") assert.ok(Date.now() < limit, dev.output());
});
