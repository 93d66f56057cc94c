import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createOutbox } from "./outbox.ts";

test("createOutbox() writes what a turn has posted at its end, in order", async () => {
  const outbox = createOutbox();
  const written: number[] = [];
  outbox.post(() => {
    written.push(1);
    outbox.post(() => written.push(3));
  });
  await Promise.resolve();
  outbox.post(() => written.push(2));
  assert.deepEqual(written, []);
  await turn();
  assert.deepEqual(written, [1, 2]);
  await turn();
  assert.deepEqual(written, [1, 2, 3]);
});
