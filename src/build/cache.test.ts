import assert from "node:assert/strict";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openCache, prepareCache } from "./cache.ts";
import { createProject } from "./project.fixture.ts";
import { createSlots } from "./slots.ts";

const age = (directory: string, folder: string, ms: number) => {
  for (const name of readdirSync(join(directory, folder))) {
    const time = new Date(Date.now() - ms);
    utimesSync(join(directory, folder, name), time, time);
  }
};

test("openCache() keeps what was used last when it is full", () => {
  using project = createProject();
  const directory = project.path("cache");
  prepareCache(directory);
  const cache = openCache(directory, { blobBytes: 250, entries: 2 });
  for (const [index, name] of ["a", "b", "c"].entries()) {
    cache.keepComponent(name, new Uint8Array(100).fill(index));
    cache.keepSource(name, { bundle: name, sourceMap: "", footprint: {} });
    age(directory, "blob", 1000 - index);
  }
  for (const name of ["c", "b", "a"]) assert.ok(cache.component(name)); // "a" is now the last used
  age(directory, "bundle", 0);
  utimesSync(join(directory, "blob", cache.component("c")!.digest), new Date(0), new Date(0));
  cache.prune(Date.now());
  assert.ok(cache.component("a") && readdirSync(join(directory, "blob")).length === 2);
  assert.equal(cache.component("c"), undefined);
  assert.equal(readdirSync(join(directory, "source")).length, 2);
});

test("prune() removes what a killed writer left, once it is old", () => {
  using project = createProject();
  const directory = project.path("cache");
  prepareCache(directory);
  const cache = openCache(directory);
  writeFileSync(join(directory, "blob", "x.tmp"), "half");
  cache.prune(Date.now());
  assert.deepEqual(readdirSync(join(directory, "blob")), ["x.tmp"]);
  cache.prune(Date.now() + 2 * 60 * 60 * 1000);
  assert.deepEqual(readdirSync(join(directory, "blob")), []);
});

test("createSlots() lets in as many as there are places, in order, and forgets who leaves", async () => {
  const slots = createSlots(1);
  const first = await slots.take();
  const order: string[] = [];
  const leaving = new AbortController();
  const second = slots.take(leaving.signal);
  const third = slots.take().then((slot) => {
    order.push("third");
    return slot;
  });
  leaving.abort(new Error("gone"));
  await assert.rejects(second, /gone/);
  assert.deepEqual(order, []);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await slots.take();
  assert.deepEqual(order, ["third"]);
});
