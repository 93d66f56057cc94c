/** The program of a shard's thread: a shard, on a link to the thread of its cell. */
import { parentPort, workerData } from "node:worker_threads";
import { createShardKeyValueProviders } from "../capability/keyvalue/standard.ts";
import { createLink } from "../host/link.ts";
import { CytoError, systemClock, systemRandom } from "../kernel/index.ts";
import { gatherLines } from "../telemetry/lines.ts";
import { createShard } from "./shard.ts";
import type { Owner, Shard, ShardData } from "./shard-contract.ts";

/** Characters of the log that may be on their way; what comes on top is dropped, and counted. */
const LOG_LENGTH = 4 * 1024 * 1024;

if (parentPort === null) throw new CytoError("internal", "Cannot run a shard: this is no thread of a cell");
const { dataDirectory } = workerData as ShardData;
let underway = 0;
let dropped = 0;
const lines = gatherLines(systemClock, (text, count) => void send(text, count));
const shard = createShard({
  keyvalue: createShardKeyValueProviders(systemClock, { ask: (...question) => owner.ask(...question) }),
  secrets: { get: (name) => owner.ask("secret", name) },
  sink: lines.write,
  dataDirectory,
  clock: systemClock,
  random: systemRandom,
});
const owner = createLink<Owner, Shard>(parentPort, {
  ...shard,
  async close() {
    await shard.close();
    lines.flush();
  },
});

async function send(text: string, count: number): Promise<void> {
  if (underway > LOG_LENGTH) {
    dropped += count;
    return;
  }
  if (dropped > 0) {
    const message = `${dropped} lines of the log were dropped: more came than could be written`;
    dropped = 0;
    lines.write({ time: systemClock.now(), level: "warn", message });
  }
  underway += text.length;
  await owner.ask("log", text, count).catch(() => {
    dropped += count;
  });
  underway -= text.length;
}
