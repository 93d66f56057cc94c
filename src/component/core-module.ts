/** Rewrites of core module binaries. Everything outside of the rewritten section stays byte for byte. */
import { BinaryReader } from "./binary.ts";

const PAGE_BYTES = 65_536;
const MEMORY_SECTION = 5;

/**
 * The module with every memory that it defines bounded to `memoryBytes`: growing past it fails
 * inside the guest (`memory.grow` answers -1), which is how its own allocator wants to hear of it.
 * A bound below the memory's initial size is raised to that size.
 */
export function boundMemory(module: Uint8Array, memoryBytes: number): Uint8Array {
  const reader = new BinaryReader(module, 8);
  while (!reader.done) {
    const start = reader.offset;
    const id = reader.byte();
    const section = reader.section(reader.u32());
    if (id !== MEMORY_SECTION) continue;
    const pagesMax = Math.floor(memoryBytes / PAGE_BYTES);
    const body = [...leb(section.u32())];
    while (!section.done) {
      const flags = section.byte();
      const initial = section.u32();
      const maximum = flags & 1 ? section.u32() : Number.POSITIVE_INFINITY;
      body.push(flags | 1, ...leb(initial), ...leb(Math.max(initial, Math.min(maximum, pagesMax))));
    }
    return Buffer.concat([
      module.subarray(0, start),
      Uint8Array.from([MEMORY_SECTION, ...leb(body.length), ...body]),
      module.subarray(reader.offset),
    ]);
  }
  return module;
}

/** An unsigned LEB128 number. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return bytes;
}
