import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { componentEmbed, componentNew, componentWit, parse } from "@bytecodealliance/jco";
import { sniff } from "./binary.ts";
import { printWit, readWit, type Wit, type WorldItem } from "./wit.ts";

/** Of a component, which always has one. */
async function describeBytes(bytes: Uint8Array): Promise<Wit> {
  return (await readWit(bytes))!;
}

const repository = join(import.meta.dirname, "../..");
const guests = globSync("{test/guests,examples/*}/*.wasm", { cwd: repository }).filter(
  (guest) => sniff(readFileSync(join(repository, guest))) === "component",
);

/** By interface, each function and each type that says more than its name, in text. */
function contents({ packages }: Wit): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name, interfaces } of packages) {
    for (const { name: inner, types, functions } of interfaces) {
      // Tools leave out types that nothing uses, and order types by use.
      const told = types.filter((type) => type.kind === "resource" && type.functions.length > 0);
      found.set(`${name} ${inner}`, [...told, ...functions].map((item) => JSON.stringify(item)).sort());
    }
  }
  return found;
}

/** Every kind of type and of thing that a world can have. */
const everything = `
(component
  (import "ns:lib/shapes@1.2.3" (instance $shapes
    (export "id" (type $id (eq 0)))
    (type $point' (record (field "x" s32) (field "y-axis" (option s32))))
    (export "point" (type $point (eq $point')))
    (type $shape' (variant (case "none") (case "at" $point) (case "ids" (list $id))))
    (export "shape" (type $shape (eq $shape')))
    (type $color' (enum "red" "func"))
    (export "color" (type $color (eq $color')))
    (type $access' (flags "read" "write"))
    (export "access" (type $access (eq $access')))
    (export "canvas" (type $canvas (sub resource)))
    (export "[constructor]canvas" (func (param "size" u32) (result (own $canvas))))
    (export "[method]canvas.draw" (func (param "self" (borrow $canvas)) (param "s" $shape) (result (result (error string)))))
    (export "[static]canvas.join" (func async (param "a" (own $canvas)) (param "b" (own $canvas)) (result (own $canvas))))
    (export "wait" (func async (param "colors" (stream $color)) (result (future (result u8 (error error-context))))))
    (export "list" (func (param "type" (tuple f32 f64)) (param "m" (map string $access)) (result (list char 4))))))
  (alias export $shapes "shape" (type $shape))
  (import "shape" (type $shape' (eq $shape)))
  (import "plain" (func (param "s" $shape')))
  (import "inline" (instance (export "go" (func (result bool)))))
  (type u64))`.replace('(export "id" (type $id (eq 0)))', "(type $id' u64) (export \"id\" (type $id (eq $id')))");

describe("printWit()", () => {
  for (const guest of guests) {
    test(`${guest}: the world is the one that other tools see`, async () => {
      const bytes = readFileSync(join(repository, guest));
      const text = printWit(await describeBytes(bytes));
      const squash = (wit: string) => wit.replace(/\s+/g, " ").trim();
      assert.equal(squash(text.slice(0, text.indexOf("\n}\n") + 3)), squash(await componentWit(bytes)));
    });

    test(`${guest}: other tools read the text, and make the same interfaces of it`, async () => {
      const wit = await describeBytes(readFileSync(join(repository, guest)));
      const core = await componentEmbed({ witSource: printWit(wit), dummy: true, world: "root" });
      const again = await describeBytes(await componentNew(core, []));
      assert.deepEqual(contents(again), contents(wit));
    });
  }

  test("says everything that WIT can say", async () => {
    const wit = await describeBytes(await parse(everything));
    assert.equal(
      printWit(wit),
      `package root:component;

world root {
  use ns:lib/shapes@1.2.3.{shape};
  import ns:lib/shapes@1.2.3;
  import inline: interface {
    go: func() -> bool;
  }
  import plain: func(s: shape);
}

package ns:lib@1.2.3 {
  interface shapes {
    type id = u64;

    record point {
      x: s32,
      y-axis: option<s32>,
    }

    variant shape {
      none,
      at(point),
      ids(list<id>),
    }

    enum color {
      red,
      %func,
    }

    flags access {
      read,
      write,
    }

    resource canvas {
      constructor(size: u32);
      draw: func(s: shape) -> result<_, string>;
      join: static async func(a: canvas, b: canvas) -> canvas;
    }

    wait: async func(colors: stream<color>) -> future<result<u8, error-context>>;

    %list: func(%type: tuple<f32, f64>, m: map<string, access>) -> list<char, 4>;
  }
}
`,
    );
  });

  test("names what WIT cannot describe", async () => {
    const { imports } = await describeBytes(await parse('(component (import "m" (core module)))'));
    assert.deepEqual(imports, [{ kind: "other", name: "m", sort: "core-module" }] satisfies WorldItem[]);
  });
});
