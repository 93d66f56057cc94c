/** Every example in docs/sdk.md: its types under an author's settings, and what it answers. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildGuest, openGuest, type World } from "./guest.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
// Inside the package, so that the examples find what it depends on.
const folder = `${root}sdk/test/.examples/`;

const page = await readFile(`${root}docs/sdk.md`, "utf8");
/** Each example, and the requests that follow it with the answers they get. */
const examples = [...page.matchAll(/```ts\n([\s\S]*?)```\n\n```http\n([\s\S]*?)```/g)].map(([, code, talk]) => ({
  code: code!,
  talk: talk!.trim().split("\n"),
}));

const world: World = {
  config: { GREETING: "Good day" },
  secrets: { "signing-key": "123456789" },
  outgoing: (service, { url }) => {
    assert.deepEqual([service, new URL(url).pathname], ["inventory", "/stock/w-1"]);
    return { status: 200, fields: "", body: { tag: "text", val: "7 in stock" } };
  },
};

let component: Uint8Array;

before(async () => {
  await mkdir(folder, { recursive: true });
  for (const [index, { code }] of examples.entries()) await writeFile(`${folder}example-${index}.ts`, code);
  const imports = examples.map((_, index) => `import e${index} from "./.examples/example-${index}.ts";`).join("\n");
  component = await buildGuest(`${imports}
const services = [${examples.map((_, index) => `e${index}`)}];
export default {
  fetch(request, env, context) {
    return services[Number(request.headers.get("x-example"))].fetch(request, env, context);
  },
};`);
});

after(() => rm(folder, { recursive: true }));

test("the page has its examples", () => {
  assert.equal(examples.length, page.split("```ts\n").length - 1);
  assert.ok(examples.length >= 7);
});

for (const [index, { code, talk }] of examples.entries()) {
  const title = code.split("\n").find((line) => line && !line.startsWith("import")) ?? "";
  test(`example ${index} answers as the page says: ${title}`, async () => {
    const guest = await openGuest(component, { ...world });
    for (let at = 0; at < talk.length; at += 2) {
      const [, method, path, body] = /^(\S+) (\S+)(?: (.*))?$/.exec(talk[at]!)!;
      const answer = await guest.fetch(path!, {
        method: method!,
        fields: `x-example: ${index}`,
        body: body === undefined ? { tag: "empty" } : { tag: "text", val: body },
      });
      assert.equal(answer.failure?.message, undefined);
      assert.equal(`${answer.status} ${answer.text}`.trim(), talk[at + 1]);
    }
  });
}

test("the examples' types are right under an author's settings", async () => {
  const paths = { "@cytoplane/sdk": [`${root}sdk/src/index.ts`] };
  const compilerOptions = {
    target: "es2023",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["es2024", "dom", "dom.iterable"],
    types: [],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    paths,
  };
  await writeFile(`${folder}tsconfig.json`, JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const { stdout } = await promisify(execFile)(process.execPath, [
    `${root}node_modules/typescript/bin/tsc`,
    "-p",
    folder,
  ]).catch((error: { stdout: string }) => error);
  assert.equal(stdout, "");
});
