/**
 * Small core modules that stand between a component's core code and JavaScript, so that a stack is
 * suspended only where something really waits, and a call that ends at once is known to have ended.
 *
 *   lowers:  what the guest imports = call JavaScript; if the global says so, wait (suspend), and that is
 *            the result; if the component has ended meanwhile, trap, which no handler of the guest catches
 *   lifts:   what JavaScript enters = call the guest; tell JavaScript the result, while still inside
 *
 * V8 suspends a caller of a suspending import for a turn even if it answers at once, and tells of the
 * end of an export that may be suspended a turn late.
 */

import { Writer } from "../binary-writer.ts";
import type { Flat } from "../codec.ts";
import { sectionId } from "../core-section.ts";
import { opcode as op } from "../opcodes.ts";

export interface CoreSignature {
  readonly params: readonly Flat[];
  readonly result: Flat | undefined;
}

/** Imports `t<i>`, `w<result>` and the global `blocked` of module `""`; exports `f<i>`. */
export function lowerShim(signatures: readonly CoreSignature[]): Uint8Array<ArrayBuffer> {
  const module = createModule();
  const calls = signatures.map((signature, i) => module.importFunction(`t${i}`, signature));
  const waits = new Map<Flat | undefined, number>();
  for (const { result } of signatures)
    if (!waits.has(result)) waits.set(result, module.importFunction(`w${result ?? ""}`, { params: [], result }));
  module.importBlocked();
  signatures.forEach((signature, i) => {
    const { params, result } = signature;
    // The block takes the answer of the call and gives the one that was waited for.
    const block = result === undefined ? undefined : module.type({ params: [result], result });
    module.exportFunction(`f${i}`, signature, (w) => {
      callWithAll(w, params, calls[i]!);
      w.put([op.globalGet, 0, op.if]);
      w.signed(block ?? VOID_BLOCK);
      if (block !== undefined) w.byte(op.drop);
      w.byte(op.call);
      w.unsigned(waits.get(result)!);
      w.put([op.globalGet, 0, op.i32Const, 0, op.i32LtS, op.if]);
      w.signed(VOID_BLOCK);
      w.put([op.unreachable, op.end, op.end]);
    });
  });
  return module.bytes();
}

/** Imports `c<i>` and `d<result>` of module `""`; exports `f<i>`, without results. */
export function liftShim(signatures: readonly CoreSignature[]): Uint8Array<ArrayBuffer> {
  const module = createModule();
  const cores = signatures.map((signature, i) => module.importFunction(`c${i}`, signature));
  const dones = new Map<Flat | undefined, number>();
  for (const { result } of signatures) {
    if (dones.has(result)) continue;
    const params = result === undefined ? [] : [result];
    dones.set(result, module.importFunction(`d${result ?? ""}`, { params, result: undefined }));
  }
  signatures.forEach(({ params, result }, i) => {
    module.exportFunction(`f${i}`, { params, result: undefined }, (w) => {
      callWithAll(w, params, cores[i]!);
      w.byte(op.call);
      w.unsigned(dones.get(result)!);
    });
  });
  return module.bytes();
}

/** Calls `index` with the parameters of the function that is written. */
function callWithAll(w: Writer, params: readonly Flat[], index: number): void {
  for (const local of params.keys()) {
    w.byte(op.localGet);
    w.unsigned(local);
  }
  w.byte(op.call);
  w.unsigned(index);
}

/** 0x40, read as a signed number. */
const VOID_BLOCK = -64;
const flatBytes: Record<Flat, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

/** Writes an item of a section. */
type Item = (w: Writer) => void;

function createModule() {
  const types: Item[] = [];
  const typeIndices = new Map<string, number>();
  const imports: Item[] = [];
  const functions: Item[] = [];
  const exports: Item[] = [];
  const bodies: Item[] = [];
  let importedFunctions = 0;

  function type({ params, result }: CoreSignature): number {
    const results = result === undefined ? [] : [result];
    const key = `${params} ${results}`;
    let index = typeIndices.get(key);
    if (index === undefined) {
      index = typeIndices.size;
      typeIndices.set(key, index);
      types.push((w) => {
        w.byte(0x60);
        for (const flats of [params, results]) {
          w.unsigned(flats.length);
          w.put(flats.map((flat) => flatBytes[flat]));
        }
      });
    }
    return index;
  }

  function imported(name: string, write: Item): void {
    imports.push((w) => {
      w.name("");
      w.name(name);
      write(w);
    });
  }

  return {
    type,
    importFunction(name: string, signature: CoreSignature): number {
      const index = type(signature);
      imported(name, (w) => {
        w.byte(0);
        w.unsigned(index);
      });
      return importedFunctions++;
    },
    importBlocked(): void {
      imported("blocked", (w) => w.put([3, flatBytes.i32, 1]));
    },
    exportFunction(name: string, signature: CoreSignature, code: Item): void {
      const index = importedFunctions + functions.length;
      exports.push((w) => {
        w.name(name);
        w.byte(0);
        w.unsigned(index);
      });
      const typeIndex = type(signature);
      functions.push((w) => w.unsigned(typeIndex));
      bodies.push((w) => {
        const size = w.hole();
        w.byte(0);
        code(w);
        w.byte(op.end);
        w.patch(size);
      });
    },
    bytes(): Uint8Array<ArrayBuffer> {
      const w = new Writer(4096);
      w.put([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
      const sections = [
        [sectionId.type, types],
        [sectionId.import, imports],
        [sectionId.function, functions],
        [sectionId.export, exports],
        [sectionId.code, bodies],
      ] as const;
      for (const [id, items] of sections) {
        w.section(id, () => {
          w.unsigned(items.length);
          for (const write of items) write(w);
        });
      }
      return Uint8Array.from(w.finish());
    },
  };
}
