import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { systemClock } from "../../kernel/index.ts";
import { keyValueConformance } from "./conformance.ts";
import type { KeyValueConfig } from "./contract.ts";
import { createMemoryKeyValue } from "./memory.ts";
import {
  createRemoteKeyValue,
  type KeyValueOwner,
  type KeyValueOwnerLink,
  openKeyValueSession,
  readHere,
} from "./remote.ts";
import { createSqliteKeyValue } from "./sqlite.ts";

const dataDirectory = mkdtempSync(join(tmpdir(), "cyto-remote-"));
after(() => rmSync(dataDirectory, { recursive: true }));

/** What goes to another thread is a copy, and goes at the end of the turn. */
function linkTo(owner: KeyValueOwner): KeyValueOwnerLink {
  return {
    async ask(name, ...args) {
      await new Promise(setImmediate);
      const answer = owner[name] as (...args: unknown[]) => Promise<unknown>;
      return structuredClone(await answer(...structuredClone(args))) as never;
    },
  };
}

const owned = () => ({ memory: createMemoryKeyValue(), sqlite: createSqliteKeyValue({ clock: systemClock }) });
const config = (changes: Partial<KeyValueConfig>): KeyValueConfig => ({
  namespace: "n",
  dataDirectory,
  options: {},
  ...changes,
});

const { answers, close } = openKeyValueSession(owned());
after(close);
const link = linkTo(answers);

keyValueConformance({
  name: "memory, kept by another thread",
  open: (changes) => createRemoteKeyValue("memory", link).open(config(changes)),
});

keyValueConformance({
  name: "sqlite, read here and written by another thread",
  open: (changes) =>
    readHere(createSqliteKeyValue({ clock: systemClock }), createRemoteKeyValue("sqlite", link)).open(config(changes)),
});

describe("a keyvalue session", () => {
  test("closes what its client left open, and nothing of another's", async () => {
    const providers = owned();
    const [one, two] = [openKeyValueSession(providers), openKeyValueSession(providers)];
    const path = { namespace: "closing", options: { path: "closing.sqlite" } };
    const [left, right] = await Promise.all(
      [one, two].map((session) => createRemoteKeyValue("sqlite", linkTo(session.answers)).open(config(path))),
    );
    await left!.increment("n", 1n);
    await one.close();
    await assert.rejects(left!.increment("n", 1n), { code: "backend-unavailable" });
    assert.equal(await right!.increment("n", 1n), 2n);
    await two.close();
  });

  test("refuses what the provider refuses, and what is not kept there", async () => {
    await assert.rejects(createRemoteKeyValue("memory", link).open(config({ options: { path: "x" } })), {
      code: "invalid-manifest",
    });
    await assert.rejects(createRemoteKeyValue("redis", link).open(config({})), { code: "internal" });
  });
});
