/**
 * Runs a WebAssembly script (`.wast`) of the Component Model against the engine. Text is assembled
 * by wasm-tools; everything else, from the bytes on, is `load` and `instantiate`.
 *
 * Each directive either passes, fails, or never reaches the engine because the assembler does not
 * know its syntax or refuses its text; the three are counted apart.
 */
import { parse } from "@bytecodealliance/jco";
import { decode } from "../../src/component/decode.ts";
import {
  ComponentError,
  type CoreInstance,
  type HostFunction,
  type ImportObject,
  load,
  suspending,
} from "../../src/component/index.ts";
import { camelCase } from "../../src/component/types.ts";
import { validate } from "../../src/component/validate.ts";
import { CytoError } from "../../src/kernel/index.ts";
import { atomOf, type Expression, headOf, type List, lineOf, parseExpressions, textOf } from "./expression.ts";
import { type Answer, answers, jsValueOf } from "./value.ts";

export interface Report {
  readonly passed: number;
  readonly failed: readonly Failure[];
  /** Lines of directives that the assembler refused, so that the engine was not asked. */
  readonly unassembled: readonly number[];
}

export interface Failure {
  readonly line: number;
  readonly directive: string;
  readonly problem: string;
}

export interface RunOptions {
  /** Whether a refusal or trap must contain the message that the script gives for it. */
  readonly messages?: boolean;
  /** A call that takes longer has failed: it would be waited for without end. */
  readonly callMs?: number;
}

export async function runScript(source: string, options: RunOptions = {}): Promise<Report> {
  const failed: Failure[] = [];
  const unassembled: number[] = [];
  let passed = 0;
  const script = createScript(source, options);
  for (const directive of parseExpressions(source)) {
    const line = lineOf(source, directive.start);
    try {
      await script.run(directive);
      passed++;
    } catch (thrown) {
      if (thrown instanceof Unassembled) unassembled.push(line);
      else failed.push({ line, directive: headOf(directive)!, problem: messageOf(thrown) });
    }
  }
  script.end();
  return { passed, failed, unassembled };
}

/** The assembler refused the text. */
class Unassembled extends Error {}

function createScript(source: string, { messages = false, callMs = 5000 }: RunOptions) {
  /** Binaries of the components that are defined, by name. */
  const components = new Map<string, Uint8Array>();
  const instances = new Map<string, CoreInstance>();
  /** Instances that later components may import, by name. */
  const given: ImportObject = {};
  const opened: CoreInstance[] = [];
  let current: CoreInstance | undefined;

  async function run(directive: List): Promise<void> {
    const [head, ...items] = directive.items;
    const type = atomOf(head);
    switch (type) {
      case "component":
        return component(directive);
      case "module":
        return module(directive);
      case "register":
        return give(textOf(items[0]), instanceOf(atomOf(items[1])));
      case "invoke": {
        const answer = await invoke(directive);
        if (!answer.returned) throw new Error(`it answered with the error ${show(answer.payload)}`);
        return;
      }
      case "assert_return": {
        const answer = await invoke(items[0] as List);
        if (!answers(answer, items[1])) throw new Error(`it answered ${show(answer)}`);
        return;
      }
      case "assert_trap":
        return refuses(items, async (action) => {
          if (headOf(action) === "component") await component(action);
          else await invoke(action);
        });
      case "assert_invalid":
      case "assert_malformed":
        return refuses(items, async (action) => {
          if (headOf(action) === "module") await WebAssembly.compile(await assemble(action));
          else await load(await assemble(action));
        });
      case "assert_unlinkable":
      case "assert_uninstantiable":
        return refuses(items, component);
      default:
        throw new SyntaxError(`${type} is no known directive`);
    }
  }

  /** `(component $name? …)`, `(component definition $name? …)` and `(component instance $name $definition)`. */
  async function component(directive: List): Promise<void> {
    const [, first, ...rest] = directive.items;
    // What follows a component that fails is not to be asked of the one before.
    current = undefined;
    if (atomOf(first) === "instance") {
      const [name, definition] = rest.map(atomOf);
      return keep(name, components.get(definition!) ?? fail(`no component ${definition} is defined`));
    }
    const defines = atomOf(first) === "definition";
    const name = nameOf(defines ? rest[0] : first);
    const bytes = await assemble(directive);
    if (name !== undefined) components.set(name, bytes);
    // A definition need only be valid: it may import what no host gives.
    if (defines) validate(decode(bytes));
    else await keep(name, bytes);
  }

  async function keep(name: string | undefined, bytes: Uint8Array): Promise<void> {
    current = (await load(bytes)).instantiate(given, { deadlock: "trap" });
    opened.push(current);
    if (name === undefined) return;
    instances.set(name, current);
    give(name.slice(1), current);
  }

  async function module(directive: List): Promise<void> {
    await WebAssembly.compile(await assemble(directive));
  }

  function give(name: string, instance: CoreInstance): void {
    for (const [key, functions] of Object.entries(instance.exports)) {
      const hosts = Object.entries(functions).map(([inner, fn]) => [inner, suspending(fn as HostFunction)]);
      given[key === "$root" ? name : key] = Object.fromEntries(hosts);
    }
  }

  function instanceOf(name: string | undefined): CoreInstance {
    const instance = name === undefined ? current : instances.get(name);
    return instance ?? fail(`no instance ${name ?? ""} was made`);
  }

  /** `(invoke $instance? "name" constant*)`. */
  async function invoke(action: List): Promise<Answer> {
    const named = nameOf(action.items[1]);
    const [name, ...args] = action.items.slice(named === undefined ? 1 : 2);
    const key = textOf(name);
    const fn = instanceOf(named).exports.$root?.[camelCase(key)] as ((...args: unknown[]) => unknown) | undefined;
    if (!fn) fail(`nothing is exported as ${key}`);
    try {
      return { returned: true, value: await within(callMs, fn(...args.map(jsValueOf))) };
    } catch (thrown) {
      if (thrown instanceof ComponentError) return { returned: false, payload: thrown.payload };
      throw thrown;
    }
  }

  /** Passes when the action is refused, with the message if messages are compared. */
  async function refuses(items: readonly Expression[], act: (action: List) => Promise<void>): Promise<void> {
    const message = textOf(items[1]);
    try {
      await act(items[0] as List);
    } catch (thrown) {
      if (thrown instanceof Unassembled || thrown instanceof Unfulfilled) throw thrown;
      if (!refusals.some((kind) => thrown instanceof kind)) throw thrown;
      if (messages && !messageOf(thrown).includes(message)) {
        throw new Error(`it was refused with "${messageOf(thrown)}"`);
      }
      return;
    }
    throw new Error("it was accepted");
  }

  /** A component or module of the script as bytes. */
  async function assemble({ items, start, end }: List): Promise<Uint8Array<ArrayBuffer>> {
    const kind = atomOf(items[0])!;
    const form = items.slice(1).find((item) => nameOf(item) === undefined && atomOf(item) !== "definition");
    if (atomOf(form) === "binary") return Buffer.concat(items.filter((i) => i.kind === "string").map((i) => i.bytes));
    if (atomOf(form) === "quote") {
      return assembleText(
        `(${kind} ${items
          .filter((item) => item.kind === "string")
          .map(textOf)
          .join(" ")})`,
      );
    }
    const defines = items.find((item) => atomOf(item) === "definition");
    if (!defines) return assembleText(source.slice(start, end));
    return assembleText(source.slice(start, defines.start) + source.slice(defines.end, end));
  }

  function end(): void {
    for (const instance of opened) instance[Symbol.dispose]();
  }

  return { run, end };
}

/** What an engine refuses with: an error of its own, or V8's for a trap or a module that does not link. */
const refusals = [CytoError, WebAssembly.RuntimeError, WebAssembly.LinkError, WebAssembly.CompileError, RangeError];

/** The script cannot be followed, which is no refusal by the engine. */
class Unfulfilled extends Error {}

function fail(problem: string): never {
  throw new Unfulfilled(problem);
}

async function assembleText(text: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return (await parse(text)) as Uint8Array<ArrayBuffer>;
  } catch (thrown) {
    throw new Unassembled(messageOf(thrown));
  }
}

async function within<T>(ms: number, answer: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unfulfilled(`the call does not end within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function nameOf(expression: Expression | undefined): string | undefined {
  const text = atomOf(expression);
  return text?.startsWith("$") ? text : undefined;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}` : inner)) ?? String(value);
}
