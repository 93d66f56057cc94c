import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { parse, transpile } from "@bytecodealliance/jco";
import { type Component, type CoreInstance, load, suspending } from "./index.ts";

/** Counters by number, each a word of memory; `dropped` tells how many destructors ran, and of which last. */
const counters = `
(component
  (import "pause" (func $pause (result u32)))
  (core func $pause (canon lower (func $pause)))
  (core module $dtor
    (memory (export "memory") 1)
    (global $count (export "count") (mut i32) (i32.const 0))
    (global $last (export "last") (mut i32) (i32.const 0))
    (func (export "drop") (param i32)
      (if (i32.eq (i32.load (local.get 0)) (i32.const 666)) (then unreachable))
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.set $last (i32.load (local.get 0)))))
  (core instance $dtor (instantiate $dtor))
  (type $counter' (resource (rep i32) (dtor (core func $dtor "drop"))))
  (core func $new (canon resource.new $counter'))
  (core func $rep (canon resource.rep $counter'))
  (core func $drop (canon resource.drop $counter'))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "count" (global $count (mut i32)))
    (import "" "last" (global $last (mut i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "pause" (func $pause (result i32)))
    (global $next (mut i32) (i32.const 16))
    (func $make (export "make") (param i32) (result i32)
      (global.set $next (i32.add (global.get $next) (i32.const 4)))
      (i32.store (global.get $next) (local.get 0))
      (call $new (global.get $next)))
    (func (export "increment") (param i32 i32) (result i32)
      (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (local.get 1)))
      (i32.load (local.get 0)))
    (func (export "slowly") (param i32) (result i32)
      (drop (call $pause)) (i32.load (local.get 0)))
    (func (export "join") (param i32 i32) (result i32)
      (local $sum i32)
      (local.set $sum (i32.add (i32.load (call $rep (local.get 0))) (i32.load (call $rep (local.get 1)))))
      (call $drop (local.get 0)) (call $drop (local.get 1))
      (call $make (local.get $sum)))
    (func (export "pass") (param i32) (result i32) (local.get 0))
    (func (export "dropped") (result i32) (global.get $count))
    (func (export "last") (result i32) (global.get $last)))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $dtor "memory")) (export "count" (global $dtor "count")) (export "last" (global $dtor "last"))
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop)) (export "pause" (func $pause))))))
  (component $typed
    (import "counter" (type $c (sub resource)))
    (import "make" (func $make (param "start" u32) (result (own $c))))
    (import "increment" (func $increment (param "self" (borrow $c)) (param "by" u32) (result u32)))
    (import "slowly" (func $slowly (param "self" (borrow $c)) (result u32)))
    (import "join" (func $join (param "a" (own $c)) (param "b" (own $c)) (result (own $c))))
    (import "pass" (func $pass (param "c" (own $c)) (result (own $c))))
    (import "dropped" (func $dropped (result u32)))
    (import "last" (func $last (result u32)))
    (export $counter "tally-counter" (type $c))
    (export "[constructor]tally-counter" (func $make) (func (param "start" u32) (result (own $counter))))
    (export "[method]tally-counter.increment-by" (func $increment) (func (param "self" (borrow $counter)) (param "by" u32) (result u32)))
    (export "[method]tally-counter.slowly" (func $slowly) (func (param "self" (borrow $counter)) (result u32)))
    (export "[static]tally-counter.join" (func $join) (func (param "a" (own $counter)) (param "b" (own $counter)) (result (own $counter))))
    (export "pass" (func $pass) (func (param "c" (own $counter)) (result (own $counter))))
    (export "dropped" (func $dropped))
    (export "last" (func $last)))
  (func $make (param "start" u32) (result (own $counter')) (canon lift (core func $main "make")))
  (func $increment (param "self" (borrow $counter')) (param "by" u32) (result u32) (canon lift (core func $main "increment")))
  (func $slowly (param "self" (borrow $counter')) (result u32) (canon lift (core func $main "slowly")))
  (func $join (param "a" (own $counter')) (param "b" (own $counter')) (result (own $counter')) (canon lift (core func $main "join")))
  (func $pass (param "c" (own $counter')) (result (own $counter')) (canon lift (core func $main "pass")))
  (func $dropped (result u32) (canon lift (core func $main "dropped")))
  (func $last (result u32) (canon lift (core func $main "last")))
  (instance $typed (instantiate $typed
    (with "counter" (type $counter')) (with "make" (func $make)) (with "increment" (func $increment))
    (with "slowly" (func $slowly)) (with "join" (func $join)) (with "pass" (func $pass))
    (with "dropped" (func $dropped)) (with "last" (func $last))))
  (export "test:tally/counters@1.0.0" (instance $typed)))
`;

interface Counter extends Disposable {
  incrementBy(by: number): number;
  slowly(): number | Promise<number>;
}
interface Counters {
  TallyCounter: { new (start: number): Counter; join(a: Counter, b: Counter): Counter };
  pass(c: Counter): Counter;
  dropped(): number;
  last(): number;
}
interface Exports {
  readonly "test:tally/counters": Counters;
}

describe("a resource that a guest exports", () => {
  let component: Component;
  let bytes: Uint8Array;
  before(async () => {
    bytes = await parse(counters);
    component = await load(bytes, { reset: true });
  });

  const open = (pause: () => unknown = () => 0): CoreInstance & { readonly counters: Counters } => {
    const instance = component.instantiate({ $root: { pause: suspending(pause as never) } });
    const { "test:tally/counters": counters } = instance.exports as unknown as Exports;
    return Object.assign(instance, { counters });
  };

  test("is a class: constructor, methods, static functions", () => {
    using instance = open();
    const { TallyCounter } = instance.counters;
    const counter = new TallyCounter(40);
    assert.ok(counter instanceof TallyCounter);
    assert.equal(counter.constructor.name, "TallyCounter");
    assert.deepEqual([counter.incrementBy(1), counter.incrementBy(1)], [41, 42]);
    assert.deepEqual(Object.keys(instance.counters).sort(), ["TallyCounter", "dropped", "last", "pass"]);
    assert.equal(instance.exports["test:tally/counters@1.0"]!.TallyCounter, TallyCounter as never);
    const sum = TallyCounter.join(counter, new TallyCounter(8));
    assert.ok(sum instanceof TallyCounter);
    assert.equal(sum.incrementBy(0), 50);
    assert.throws(() => (TallyCounter as unknown as () => void)(), /it is made with new/);
  });

  test("given away it is of no more use, and what comes back is another object", () => {
    using instance = open();
    const { TallyCounter, pass, dropped } = instance.counters;
    const first = new TallyCounter(1);
    const second = pass(first);
    assert.notEqual(second, first);
    assert.equal(second.incrementBy(1), 2);
    const gone = { name: "TypeError", message: "Cannot pass the TallyCounter: it was given away" };
    assert.throws(() => first.incrementBy(1), gone);
    assert.throws(() => pass(first), gone);
    first[Symbol.dispose]();
    assert.equal(dropped(), 0);
    assert.equal(second.incrementBy(1), 3);
  });

  test("its destructor runs once", () => {
    using instance = open();
    const { TallyCounter, pass, dropped, last } = instance.counters;
    const counter = new TallyCounter(7);
    counter[Symbol.dispose]();
    counter[Symbol.dispose]();
    assert.deepEqual([dropped(), last()], [1, 7]);
    const gone = { name: "TypeError", message: "Cannot pass the TallyCounter: it was dropped" };
    assert.throws(() => counter.incrementBy(1), gone);
    assert.throws(() => pass(counter), gone);
    {
      using scoped = new TallyCounter(9);
      scoped.incrementBy(1);
    }
    assert.deepEqual([dropped(), last()], [2, 10]);
  });

  test("of something else, or of another instance, is refused, and the guest runs on", () => {
    using instance = open();
    using other = open();
    const { TallyCounter, pass } = instance.counters;
    for (const wrong of [undefined, 7, {}, Object.create(TallyCounter.prototype)] as never[])
      assert.throws(() => pass(wrong), { name: "TypeError", message: /a TallyCounter is expected$/ });
    const foreign = new other.counters.TallyCounter(1);
    assert.throws(() => pass(foreign), /it is of another instance, or from before a reset/);
    const { incrementBy } = TallyCounter.prototype as unknown as Counter;
    assert.throws(() => incrementBy.call({}, 1), /a TallyCounter is expected/);
    assert.equal(pass(new TallyCounter(3)).incrementBy(0), 3);
    using refused = new TallyCounter(1);
    assert.throws(() => refused.incrementBy("one" as never), TypeError);
  });

  test("is lent while a call lasts: it cannot be dropped, and is given away after", async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    using instance = open(() => promise);
    const { TallyCounter, pass, dropped } = instance.counters;
    const counter = new TallyCounter(5);
    const waiting = counter.slowly();
    assert.throws(() => counter[Symbol.dispose](), /Cannot drop a TallyCounter: a call that it is lent to has not/);
    const passed = pass(counter);
    resolve(0);
    assert.equal(await waiting, 5);
    const back = await passed;
    assert.equal(await back.incrementBy(1), 6);
    back[Symbol.dispose]();
    assert.equal(await dropped(), 1);
  });

  test("dropped while the guest is in a call, its destructor runs after that", async () => {
    const held: { counter?: Counter } = {};
    using instance = open(() => {
      held.counter![Symbol.dispose]();
      return 0;
    });
    const { TallyCounter, dropped } = instance.counters;
    held.counter = new TallyCounter(5);
    assert.equal(new TallyCounter(4).slowly(), 4);
    await null;
    assert.equal(dropped(), 1);
  });

  test("a destructor that traps ends its instance, and who drops is told", () => {
    using instance = open();
    const { TallyCounter, dropped } = instance.counters;
    const [bad, good] = [new TallyCounter(666), new TallyCounter(1)];
    assert.throws(() => bad[Symbol.dispose](), WebAssembly.RuntimeError);
    assert.throws(dropped, /it has trapped: unreachable/);
    good[Symbol.dispose]();
  });

  test("ends with its instance, and with a reset", () => {
    const instance = open();
    const { TallyCounter, dropped, pass } = instance.counters;
    const counter = new TallyCounter(5);
    assert.equal(instance.reset?.(), true);
    assert.throws(() => counter.incrementBy(1), /from before a reset/);
    assert.throws(() => pass(counter), /from before a reset/);
    counter[Symbol.dispose]();
    assert.equal(dropped(), 0);
    const after = new TallyCounter(6);
    assert.equal(after.incrementBy(1), 7);
    instance[Symbol.dispose]();
    after[Symbol.dispose]();
    assert.throws(() => after.incrementBy(1), /the instance has ended/);
  });

  test("is what another component imports", async () => {
    const user = `(component
      (import "test:tally/counters@1.0.0" (instance $counters
        (export "tally-counter" (type $c (sub resource)))
        (export "[constructor]tally-counter" (func (param "start" u32) (result (own $c))))
        (export "[method]tally-counter.increment-by" (func (param "self" (borrow $c)) (param "by" u32) (result u32)))))
      (alias export $counters "tally-counter" (type $c))
      (core func $new (canon lower (func $counters "[constructor]tally-counter")))
      (core func $increment (canon lower (func $counters "[method]tally-counter.increment-by")))
      (core func $drop (canon resource.drop $c))
      (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "increment" (func $increment (param i32 i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "use") (result i32)
          (local $counter i32)
          (local.set $counter (call $new (i32.const 40)))
          (call $increment (local.get $counter) (i32.const 2))
          (call $drop (local.get $counter))))
      (core instance $i (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "increment" (func $increment)) (export "drop" (func $drop))))))
      (func (export "use") (result u32) (canon lift (core func $i "use"))))`;
    using instance = open();
    const component = await load(await parse(user));
    using other = component.instantiate(instance.exports);
    assert.equal((other.exports.$root!.use as () => number)(), 42);
    assert.deepEqual([instance.counters.dropped(), instance.counters.last()], [1, 42]);
  });

  test("behaves as it does in jco", async () => {
    using instance = open();
    assert.deepEqual(play(instance.counters), play(await throughJco(bytes)));
  });
});

/** What each step answers, or the name of the error that it throws. */
function play({ TallyCounter, pass, dropped, last }: Counters): unknown[] {
  const told: unknown[] = [];
  const step = (act: () => unknown): void => {
    try {
      told.push(act());
    } catch (thrown) {
      told.push((thrown as Error).name);
    }
  };
  const counter = new TallyCounter(3);
  step(() => counter instanceof TallyCounter);
  step(() => counter.incrementBy(4));
  const passed = pass(counter);
  step(() => passed === counter);
  step(() => counter.incrementBy(1));
  step(() => pass(counter));
  step(() => counter[Symbol.dispose]());
  step(dropped);
  step(() => TallyCounter.join(passed, new TallyCounter(5)).incrementBy(0));
  step(dropped);
  const short = new TallyCounter(9);
  step(() => short[Symbol.dispose]());
  step(() => short[Symbol.dispose]());
  step(dropped);
  step(last);
  step(() => short.incrementBy(1));
  step(() => pass({} as Counter));
  step(dropped);
  return told;
}

async function throughJco(bytes: Uint8Array): Promise<Counters> {
  const { files } = await transpile(bytes, { name: "tally", instantiation: "async", noTypescript: true });
  const program = Buffer.from(files["tally.js"]!).toString("base64");
  const { instantiate } = (await import(`data:text/javascript;base64,${program}`)) as {
    instantiate(core: (name: string) => WebAssembly.Module, imports: object): Promise<{ counters: Counters }>;
  };
  const module = (name: string) => new WebAssembly.Module(new Uint8Array(files[name]!));
  return (await instantiate(module, { pause: { default: () => 0 } })).counters;
}
