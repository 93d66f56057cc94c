/** A program that runs a component by itself: typed calls, a host function, a stream, and limits. */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { CytoError, createMetering, load } from "cytoplane/component";
import type { Exports, Imports } from "./checksum.d.ts";

const file = process.argv[2] ?? new URL("checksum.wat", import.meta.url);

// Once for a program: the code is compiled, and woven so that it can be interrupted.
const bytes = await readFile(new URL("checksum.wasm", import.meta.url));
const component = await load<Imports, Exports>(bytes, { memoryBytes: 1024 * 1024, metered: true });
// Once for a thread: guests share it, 3 ms at a time.
const metering = createMetering({ monotonic: () => performance.now(), nextTurn: setImmediate });

// An instance has a memory of its own, and reaches what it is given here: one function.
let bytesRead = 0;
const imports: Imports = {
  "example:embed/progress": {
    report(bytes) {
      bytesRead = bytes;
    },
  },
};
using instance = component.instantiate(imports, { cpu: { metering, cpuMs: 200 } });
const adler32 = instance.exports["example:embed/adler32"];
const hex = (sum: number) => sum.toString(16).padStart(8, "0");

console.log(`of a text: ${hex(await adler32.ofText("Wikipedia"))}`);
console.log(`of a file: ${hex(await adler32.ofStream(createReadStream(file)))}, ${bytesRead} bytes`);
console.log(`64 MiB more memory: ${(await adler32.reserve(1024)) ? "given" : "refused"}`);
try {
  await adler32.spin();
} catch (error) {
  console.log(`an endless loop: ${error instanceof CytoError ? error.code : error}`);
}
