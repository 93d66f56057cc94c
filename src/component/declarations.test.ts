import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { sniff } from "./binary.ts";
import { printDeclarations, readWit } from "./index.ts";

const repository = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "cyto-types-"));
after(() => rmSync(folder, { recursive: true }));

writeFileSync(join(folder, "package.json"), '{ "type": "module" }');

/** What `tsc` says of the files, the engine's own declarations among them. */
function complaints(files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const compilerOptions = {
    module: "nodenext",
    target: "esnext",
    lib: ["esnext"],
    types: ["node"],
    typeRoots: [join(repository, "node_modules/@types")],
    strict: true,
    skipLibCheck: true,
    exactOptionalPropertyTypes: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    paths: { "cytoplane/component": [join(repository, "src/component/embed.ts")] },
  };
  const include = [...Object.keys(files), join(repository, "src/component/webassembly.d.ts")];
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: include }));
  try {
    execFileSync(join(repository, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8", cwd: folder });
    return "";
  } catch (error) {
    return (error as { readonly stdout: string }).stdout;
  }
}

async function declare(bytes: Uint8Array): Promise<string> {
  return printDeclarations((await readWit(bytes))!);
}

/** Every kind of type and function, imported and exported, with names that TypeScript has for itself. */
const shapes = `
  (export "id" (type $id (eq $id')))
  (type $point' (record (field "x" s32) (field "y-axis" (option s32)) (field "class" (list $id))))
  (export "point" (type $point (eq $point')))
  (type $error' (variant (case "none") (case "at" $point) (case "deep" (option (option u8)))))
  (export "error" (type $error (eq $error')))
  (type $map' (enum "red" "func"))
  (export "map" (type $map (eq $map')))
  (type $access' (flags "read" "no-write"))
  (export "access" (type $access (eq $access')))
  (type $promise' (result $point (error $error)))
  (export "promise" (type $promise (eq $promise')))
  (export "canvas" (type $canvas (sub resource)))
  (export "[constructor]canvas" (func (param "size" u32) (result (own $canvas))))
  (export "[method]canvas.draw" (func (param "self" (borrow $canvas)) (param "new" $error) (result $promise)))
  (export "[static]canvas.join" (func async (param "a" (own $canvas)) (param "b" (own $canvas)) (result (own $canvas))))
  (export "wait" (func async (param "colours" (stream $map)) (result (future (result u8 (error error-context))))))
  (export "delete" (func (param "default" (tuple f32 char)) (param "m" (map string $access)) (result (list (option char)))))
`;
const everything = `
(component
  (import "ns:lib/shapes@1.2.3" (instance (type $id' u64) ${shapes}))
  (import "ns:lib/shapes@2.0.0" (instance (type $id' u32) ${shapes}))
  (import "inline" (instance (export "go" (func (result bool)))))
  (import "plain" (func (param "list" (list s16)))))`;

const program = `
import { load } from "cytoplane/component";
import type { Exports, Imports, NsLibShapes } from "./everything.d.ts";

class Canvas {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  draw(shape: NsLibShapes.Error): NsLibShapes.Point {
    if (shape.tag === "at") return { x: shape.val.x, class: BigUint64Array.of(1n) };
    throw shape;
  }
  static async join(a: Canvas, b: Canvas): Promise<Canvas> {
    return new Canvas(a.size + b.size);
  }
}
const shapes = {
  Canvas,
  async wait(colours: AsyncIterable<NsLibShapes.Map[]>) {
    for await (const [first] of colours) if (first === "red") break;
    return Promise.resolve({ tag: "ok" as const, val: 1 });
  },
  delete: ([size, letter]: [number, string], m: Map<string, NsLibShapes.Access>) =>
    m.get(letter)?.noWrite ? [letter, undefined] : [String(size)],
};
declare const other: Imports["ns:lib/shapes@2.0"];
const imports: Imports = {
  "ns:lib/shapes@1.2": shapes,
  "ns:lib/shapes@2.0": other,
  inline: { go: () => true },
  $root: { plain: (list) => void list.subarray(1) },
};
const component = await load<Imports, Exports>(new Uint8Array());
component.instantiate(imports);
`;

describe("printDeclarations()", () => {
  const guests = globSync("{test/guests,examples/*}/*.wasm", { cwd: repository }).filter(
    (guest) => sniff(readFileSync(join(repository, guest))) === "component",
  );

  test("tsc takes what is printed of every guest, and of every kind of type", async () => {
    assert.ok(guests.length > 5);
    const files: Record<string, string> = { "everything.ts": await declare(await parse(everything)) };
    for (const [i, guest] of guests.entries())
      files[`guest${i}.ts`] = await declare(readFileSync(join(repository, guest)));
    assert.equal(complaints(files), "");
  });

  test("a program that keeps to them is taken", async () => {
    const declarations = await declare(await parse(everything));
    assert.equal(complaints({ "everything.d.ts": declarations, "program.ts": program }), "");
  });

  for (const [what, right, wrong] of [
    ["a resource of too few methods", "draw(shape", "paint(shape"],
    ["a value of the wrong type", "BigUint64Array.of(1n)", "[1n]"],
    ["an import that is missing", "inline: {", "outline: {"],
    ["a case that does not exist", '=== "at"', '=== "on"'],
  ] as const) {
    test(`${what} is refused`, async () => {
      assert.ok(program.includes(right));
      const declarations = await declare(await parse(everything));
      const text = program.replaceAll(right, wrong);
      assert.match(
        complaints({ "everything.d.ts": declarations, "program.ts": text }),
        /^program\.ts\(\d+,\d+\): error/,
      );
    });
  }
});
