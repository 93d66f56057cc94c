import assert from "node:assert/strict";
import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { type Component, load } from "../component/index.ts";
import { openComponentCache } from "./component-cache.ts";

const component = (answer: number) =>
  parse(`(component
    (core module $m (func (export "answer") (result i32) i32.const ${answer}))
    (core instance $i (instantiate $m))
    (func (export "answer") (result u32) (canon lift (core func $i "answer"))))`);

const answerOf = (loaded: Component) =>
  (loaded.instantiate({}).exports.$root as unknown as { answer(): number }).answer();

describe("openComponentCache()", () => {
  const open = async (now = () => 0) => {
    const directory = join(await mkdtemp(join(tmpdir(), "cyto-cache-")), "components");
    return { directory, cache: openComponentCache(directory, { now }) };
  };

  test("a component is made once, and what was kept is the same component", async () => {
    const { directory, cache } = await open();
    const bytes = await component(42);
    const first = await load(bytes, { cache });
    assert.equal((await readdir(directory)).length, 1);
    const again = await load(bytes, { cache });
    assert.deepEqual([again.digest, again.exports, again.woven], [first.digest, first.exports, first.woven]);
    assert.equal(answerOf(again), 42);
    await load(bytes, { cache, memoryBytes: 65_536 });
    assert.equal((await readdir(directory)).length, 2, "with other options it is another");
  });

  test("a damaged file is made anew", async () => {
    const { directory, cache } = await open();
    const bytes = await component(7);
    await load(bytes, { cache });
    const [name] = await readdir(directory);
    for (const content of ["", "nothing that was sealed", Buffer.alloc(64)]) {
      await writeFile(join(directory, name!), content);
      assert.equal(answerOf(await load(bytes, { cache })), 7);
    }
  });

  test("is bounded, and keeps what is used", async () => {
    let time = 0;
    const { directory, cache } = await open(() => (time += 1000));
    await cache.write("first", Buffer.from("1"));
    for (let i = 0; i < 200; i++) {
      await cache.write(`other-${i}`, Buffer.from("x"));
      assert.equal(String(await cache.read("first")), "1");
    }
    assert.equal((await readdir(directory)).length, 128);
  });

  test("a folder that cannot be written to is a cache that forgets", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "cyto-cache-")), "file");
    await writeFile(file, "");
    const cache = openComponentCache(join(file, "components"), { now: () => 0 });
    assert.equal(answerOf(await load(await component(9), { cache })), 9);
  });
});
