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
import type { Flat } from "../codec.ts";
import { leb, signedLeb } from "../leb128.ts";

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
    const ended = [op.globalGet, 0, op.i32Const, 0, op.i32LtS, op.if, voidBlock, op.unreachable, op.end];
    const wait = [op.call, ...leb(waits.get(signature.result)!), ...ended];
    const code = [
      ...signature.params.flatMap((_, local) => [op.localGet, ...leb(local)]),
      ...[op.call, ...leb(calls[i]!)],
      ...[op.globalGet, 0],
    ];
    if (signature.result === undefined) code.push(op.if, voidBlock, ...wait, op.end);
    else {
      // The block takes the answer of the call and gives the one that was waited for.
      const block = module.type({ params: [signature.result], result: signature.result });
      code.push(op.if, ...signedLeb(block), op.drop, ...wait, op.end);
    }
    module.exportFunction(`f${i}`, signature, code);
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
    const code = [
      ...params.flatMap((_, local) => [op.localGet, ...leb(local)]),
      ...[op.call, ...leb(cores[i]!)],
      ...[op.call, ...leb(dones.get(result)!)],
    ];
    module.exportFunction(`f${i}`, { params, result: undefined }, code);
  });
  return module.bytes();
}

const op = {
  unreachable: 0x00,
  if: 0x04,
  end: 0x0b,
  call: 0x10,
  drop: 0x1a,
  localGet: 0x20,
  globalGet: 0x23,
  i32Const: 0x41,
  i32LtS: 0x48,
} as const;
const voidBlock = 0x40;
const flatBytes: Record<Flat, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

function createModule() {
  const types: number[][] = [];
  const typeIndices = new Map<string, number>();
  const imports: number[][] = [];
  const functions: number[][] = [];
  const exports: number[][] = [];
  const bodies: number[][] = [];
  let importedFunctions = 0;

  function type({ params, result }: CoreSignature): number {
    const results = result === undefined ? [] : [result];
    const bytes = [0x60, ...vector(params.map((flat) => [flatBytes[flat]]))];
    bytes.push(...vector(results.map((flat) => [flatBytes[flat]])));
    const key = bytes.join();
    let index = typeIndices.get(key);
    if (index === undefined) {
      index = types.push(bytes) - 1;
      typeIndices.set(key, index);
    }
    return index;
  }

  return {
    type,
    importFunction(name: string, signature: CoreSignature): number {
      imports.push([0, ...text(name), 0, ...leb(type(signature))]);
      return importedFunctions++;
    },
    importBlocked(): void {
      imports.push([0, ...text("blocked"), 3, flatBytes.i32, 1]);
    },
    exportFunction(name: string, signature: CoreSignature, code: readonly number[]): void {
      exports.push([...text(name), 0, ...leb(importedFunctions + functions.length)]);
      functions.push(leb(type(signature)));
      const body = [0, ...code, op.end];
      bodies.push([...leb(body.length), ...body]);
    },
    bytes(): Uint8Array<ArrayBuffer> {
      return Uint8Array.from([
        ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
        ...section(1, types),
        ...section(2, imports),
        ...section(3, functions),
        ...section(7, exports),
        ...section(10, bodies),
      ]);
    },
  };
}

function section(id: number, items: readonly number[][]): number[] {
  const content = vector(items);
  return [id, ...leb(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...leb(items.length), ...items.flat()];
}

function text(name: string): number[] {
  const bytes = [...Buffer.from(name)];
  return [...leb(bytes.length), ...bytes];
}
