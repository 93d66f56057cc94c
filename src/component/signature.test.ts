import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse, transpile } from "@bytecodealliance/jco";
import fc from "fast-check";
import {
  allTypes,
  type Case,
  type Encoding,
  echoComponent,
  echoed,
  encodings,
  listOf,
  prim,
  types,
} from "../../test/values.ts";
import { Carrier } from "./async/carry.ts";
import { Home } from "./async/home.ts";
import { Store } from "./async/store.ts";
import { CanonContext } from "./canon-context.ts";
import { type HostFunction, load, suspending } from "./index.ts";
import { type HostCall, signatureOf } from "./signature.ts";
import type { ValueType } from "./types.ts";

type Echo = (...values: unknown[]) => unknown;
interface Program {
  readonly params: readonly ValueType[];
  readonly values: readonly unknown[][];
  readonly encoding: Encoding;
}

/** The types of some parameters, and some calls. */
function programs(of: fc.Arbitrary<Case>, encoding: fc.Arbitrary<Encoding>): fc.Arbitrary<Program> {
  return fc.array(of, { minLength: 1, maxLength: 4 }).chain((params) =>
    fc.record({
      params: fc.constant(params.map(([type]) => type)),
      values: fc.array(fc.tuple(...params.map(([, value]) => value)), { minLength: 1, maxLength: 4 }),
      encoding,
    }),
  );
}

/** Answers as its signature wants it: a `result` by returning or throwing. */
function host(params: readonly ValueType[], seen: unknown[][]): Echo {
  return (...values) => {
    seen.push(values);
    if (params.length > 1) return values;
    if (params[0]!.kind !== "result") return values[0];
    const { tag, val } = values[0] as { tag: string; val: unknown };
    if (tag === "err") throw Object.assign(new Error("the error of a result"), { payload: val });
    return val;
  };
}

/** What it returned or threw. */
async function outcome(params: readonly ValueType[], call: () => unknown): Promise<unknown> {
  const isResult = echoed(params).kind === "result";
  try {
    const val = await call();
    return isResult ? { tag: "ok", val } : val;
  } catch (thrown) {
    if (!isResult || !(thrown instanceof Error && "payload" in thrown)) throw thrown;
    return { tag: "err", val: thrown.payload };
  }
}

const expected = (params: readonly ValueType[], values: readonly unknown[]) =>
  params.length === 1 ? values[0] : values;

async function ours(bytes: Uint8Array, echo: Echo): Promise<Echo> {
  const component = await load(bytes);
  return component.instantiate({ "test:host/echo": { echo } } as never).exports.$root!.echo as Echo;
}

async function jcos(bytes: Uint8Array, echo: Echo): Promise<Echo> {
  const { files } = await transpile(bytes, { name: "echo", instantiation: "async", noTypescript: true });
  const modules = new Map<string, WebAssembly.Module>();
  for (const [name, content] of Object.entries(files)) {
    if (name.endsWith(".wasm")) modules.set(name, new WebAssembly.Module(new Uint8Array(content)));
  }
  const program = Buffer.from(files["echo.js"]!).toString("base64");
  const { instantiate } = (await import(`data:text/javascript;base64,${program}`)) as {
    instantiate(core: (name: string) => WebAssembly.Module, imports: object): Promise<{ echo: Echo }>;
  };
  return (await instantiate((name) => modules.get(name)!, { "test:host/echo": { echo } })).echo;
}

describe("values through a guest", () => {
  test("come back as they went, of every type and in every encoding", async () => {
    await fc.assert(
      fc.asyncProperty(programs(allTypes, encodings), fc.boolean(), async (program, waits) => {
        const { params, values, encoding } = program;
        const seen: unknown[][] = [];
        const answer = host(params, seen);
        const later: Echo = async (...args) => {
          await undefined;
          return answer(...args);
        };
        const echo = await ours(
          await parse(echoComponent(params, encoding)),
          waits ? (suspending(later as HostFunction) as Echo) : answer,
        );
        for (const value of values) {
          assert.deepEqual(await outcome(params, () => echo(...value)), expected(params, value));
          assert.deepEqual(seen.pop(), value);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("are what jco makes of the same component", async () => {
    await fc.assert(
      fc.asyncProperty(programs(types, fc.constantFrom("utf8", "utf16")), async ({ params, values, encoding }) => {
        const bytes = await parse(echoComponent(params, encoding));
        const [seen, seenByJco]: unknown[][][] = [[], []];
        const [mine, theirs] = [await ours(bytes, host(params, seen!)), await jcos(bytes, host(params, seenByJco!))];
        for (const value of values) {
          const [a, b] = [await outcome(params, () => mine(...value)), await outcome(params, () => theirs(...value))];
          assert.deepEqual(a, b);
          assert.deepEqual(seen, seenByJco);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("signatureOf()", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const store = new Store(false, false);
  const home = new Home(0, store, undefined);
  function context(realloc: (() => number) | undefined = () => 1024): CanonContext {
    const cx = new CanonContext(0, home.handles, new Carrier(store, home.handles), "utf8");
    cx.bind(memory, realloc);
    cx.refresh();
    return cx;
  }
  const func = (params: Record<string, ValueType>, result?: ValueType) =>
    signatureOf({
      kind: "func",
      async: false,
      params: Object.entries(params).map(([name, type]) => ({ name, type })),
      result,
    });
  const lowered = (params: Record<string, ValueType>, result: ValueType | undefined, host: HostCall) =>
    func(params, result).lowered(context(), new Home(0, store, undefined), host);
  const traps = (act: () => unknown, message: RegExp) =>
    assert.throws(act, (error) => error instanceof WebAssembly.RuntimeError && message.test(error.message));
  const u8 = prim("u8");
  const u32 = prim("u32");
  const string = prim("string");
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`p${i}`, u32]));

  test("has as many parameters as the core function, and one more for a result in memory", () => {
    const nothing = () => undefined;
    assert.equal(lowered({}, undefined, nothing).length, 0);
    assert.equal(lowered({ a: u32, b: string }, u32, nothing).length, 3);
    assert.equal(lowered({ a: u32, b: string }, string, nothing).length, 4);
    assert.equal(lowered(many, string, nothing).length, 2);
  });

  test("traps on pointers to parameters and results that are misaligned or outside of memory", () => {
    // A trap leaves an instance as it is, for good: each call has a new one.
    const answers = (...values: number[]) => lowered(many, string, () => "text")(...values);
    for (const [pointer, message] of [
      [2, /not aligned to 4/],
      [65_536, /outside of memory/],
      [65_532, /outside of memory/],
      [-4, /outside of memory/],
    ] as const) {
      traps(() => answers(pointer, 0), message);
      traps(() => answers(0, pointer), message);
    }
    traps(() => answers(65_472, 0), /outside of memory/);
    assert.equal(answers(65_536 - 68, 65_528), undefined);
  });

  test("traps on an allocator that answers with what is misaligned or outside of memory", () => {
    const pass = (pointer: number) => () => {
      func({ list: listOf(u32) }).params.lower(
        context(() => pointer),
        [[1, 2]],
        [],
        0,
      );
    };
    traps(pass(1026), /not aligned/);
    traps(pass(65_532), /outside of memory/);
    traps(pass(-8), /outside of memory/);
    pass(65_528)();
    const none = new CanonContext(0, home.handles, new Carrier(store, home.handles), "utf8");
    traps(() => func({ text: string }).params.lower(none, ["x"], [], 0), /no allocator/);
  });

  test("lets the guest call nothing while it allocates, and everything afterwards", () => {
    const states: boolean[] = [];
    const cx = context(() => {
      states.push(home.mayLeave);
      return 1024;
    });
    func({}, string).lowered(cx, home, () => "text")(0);
    assert.deepEqual([...states, home.mayLeave], [false, true]);
    home.mayLeave = false;
    traps(() => func({}).lowered(cx, home, () => undefined)(), /calls out while/);
    home.mayLeave = true;
  });

  test("traps on a promise of a host function that is not marked as one that may wait", () => {
    traps(() => lowered({}, u32, async () => 1)(), /waits that is not marked/);
    traps(() => lowered({}, undefined, async () => undefined)(), /waits that is not marked/);
  });

  test("bounds the sum of what one call lifts, however often the guest shows the same bytes", () => {
    new Uint8Array(memory.buffer).fill(0);
    const view = new DataView(memory.buffer);
    for (let at = 0; at < 65_536; at += 8) view.setUint32(at + 4, 65_536, true);
    traps(() => lowered({ lists: listOf(listOf(u8)) }, undefined, () => undefined)(0, 8192), /larger than/);
    traps(() => lowered({ texts: listOf(listOf(prim("bool"))) }, undefined, () => undefined)(0, 8192), /larger than/);
    // Each call has its own.
    const once = lowered({ list: listOf(u8) }, u32, (list: Uint8Array) => list.length);
    for (let i = 0; i < 5000; i++) assert.equal(once(0, 65_536), 65_536);
  });

  test("passes on what a host function throws that is no error of its `result`", () => {
    const fault = new Error("a fault");
    const type: ValueType = { kind: "result", ok: undefined, err: undefined };
    const host = (thrown: unknown) =>
      lowered({}, type, () => {
        throw thrown;
      });
    assert.throws(host(fault), (error) => error === fault);
    assert.equal(host(undefined)(), 1);
    assert.equal(host({ payload: undefined })(), 1);
  });

  test("says which field or item a wrong value was for", () => {
    const record: ValueType = { kind: "record", fields: [{ name: "first-name", type: string }] };
    const call = (params: Record<string, ValueType>, ...args: unknown[]) => {
      const { params: codec, paramsInMemory } = func(params);
      if (paramsInMemory) codec.store(context(), args, 1024);
      else codec.lower(context(), args, [], 0);
    };
    for (const [params, args, message] of [
      [{ age: u32 }, [], /undefined as item 0: a number/],
      [{ age: u32 }, ["7"], /the string 7 as item 0: a number/],
      [{ who: record }, [{}], /undefined as field firstName: a string/],
      [{ who: listOf(record) }, [[{ firstName: 3 }]], /the number 3 as field firstName/],
      [{ pair: { kind: "tuple", types: [string, u8] } }, [["a", null]], /null as item 1: a number/],
      [{ big: prim("u64") }, [1.5], /1.5 as item 0: a bigint/],
      [{ list: listOf(u8) }, ["text"], /the string text: a list of numbers/],
      [{ list: listOf(string) }, [{}], /an array is expected/],
      [{ of: { kind: "enum", names: ["a", "b"] } }, ["c"], /one of a, b is expected/],
      [{ of: { kind: "result", ok: u8, err: undefined } }, [{ tag: "ok" }], /the value of ok: a number/],
      [{ of: { kind: "result", ok: u8, err: undefined } }, [5], /\{ tag: ok \| err \} is expected/],
      [many, [1, 2, 3], /undefined as item 3/],
    ] as [Record<string, ValueType>, unknown[], RegExp][]) {
      assert.throws(
        () => call(params, ...args),
        (error) => error instanceof TypeError && message.test(error.message),
      );
    }
  });
});
