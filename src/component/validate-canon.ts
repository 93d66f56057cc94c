/**
 * Canonical definitions: what each lifts, lowers or makes, which options it must and may have, and the
 * core signature that follows from its types.
 */
import type { CoreType } from "./core-interface.ts";
import type { CanonDefinition, CanonOptions } from "./decode.ts";
import type { Scope, Validator } from "./validate.ts";
import type { CoreFlat, FunctionNode, Shape, ValueType } from "./validate-types.ts";

const FLAT_PARAMS_MAX = 16;
const FLAT_ASYNC_PARAMS_MAX = 4;
const FLAT_RESULTS_MAX = 1;
const CONTEXT_SLOTS = 2;

/** The function that a definition adds: a component's for a lift, a core function otherwise. */
export function canonType(canon: CanonDefinition, scope: Scope, validator: Validator): FunctionNode | CoreType {
  const { fail, table, coreTypes } = validator;
  const core = (params: readonly string[], results: readonly string[]) => coreTypes.func(params, results);

  switch (canon.kind) {
    case "lift":
      return lift(canon, scope, validator);
    case "lower": {
      const type = validator.at(scope.funcs, canon.func, "function");
      const options = canon.options;
      checkOptions(options, scope, validator);
      if (options.postReturn !== undefined) fail("only a lift has the canonical option post-return");
      if (options.callback !== undefined) fail("only a lift has the canonical option callback");
      if (options.async && !type.async) fail("the canonical option async needs an async function");
      const { params, results } = flatten(type, validator);
      const paramsMax = options.async ? FLAT_ASYNC_PARAMS_MAX : FLAT_PARAMS_MAX;
      const resultsMax = options.async ? 0 : FLAT_RESULTS_MAX;
      const inMemory = params.length > paramsMax || results.length > resultsMax;
      need(options, validator, {
        memory: inMemory || pointers(paramsOf(type), validator) || pointers([type.result], validator),
        realloc: pointers([type.result], validator),
      });
      const flat: string[] = params.length > paramsMax ? ["i32"] : [...params];
      if (results.length > resultsMax) flat.push("i32");
      return core(flat, options.async ? ["i32"] : results.length > resultsMax ? [] : results);
    }
    case "resource.new":
    case "resource.rep":
      if (validator.resource(canon.resource, scope).resource.home !== scope) {
        fail(`${canon.kind} is only for a resource that the component defines itself`);
      }
      return core(["i32"], ["i32"]);
    case "resource.drop":
      validator.resource(canon.resource, scope);
      return core(["i32"], []);
    case "task.return": {
      const { options } = canon;
      checkOptions(options, scope, validator);
      if (
        options.realloc !== undefined ||
        options.postReturn !== undefined ||
        options.async ||
        options.callback !== undefined
      ) {
        fail("task.return has no canonical options but memory and string-encoding");
      }
      const type = canon.result === undefined ? undefined : validator.value(canon.result, scope);
      const flat = type === undefined ? [] : table.shapeOf(type).flat;
      if (type !== undefined && table.shapeOf(type).borrows) fail("a result has a borrow in it");
      const inMemory = flat.length > FLAT_PARAMS_MAX;
      need(options, validator, { memory: inMemory || pointers([type], validator), realloc: false });
      return core(inMemory ? ["i32"] : flat, []);
    }
    case "context.get":
    case "context.set":
      if (canon.slot >= CONTEXT_SLOTS) fail(`slot ${canon.slot} of the task's context does not exist`);
      return canon.kind === "context.get" ? core([], [canon.type]) : core([canon.type], []);
    case "task.cancel":
    case "backpressure.inc":
    case "backpressure.dec":
      return core([], []);
    case "backpressure.set":
    case "subtask.drop":
    case "waitable-set.drop":
    case "error-context.drop":
    case "thread.resume-later":
      return core(["i32"], []);
    case "waitable-set.new":
    case "thread.index":
    case "thread.yield":
    case "thread.suspend":
    case "thread.available-parallelism":
      return core([], ["i32"]);
    case "subtask.cancel":
    case "thread.suspend-then-resume":
    case "thread.yield-then-resume":
    case "thread.suspend-then-promote":
    case "thread.yield-then-promote":
      return core(["i32"], ["i32"]);
    case "waitable.join":
      return core(["i32", "i32"], []);
    case "waitable-set.wait":
    case "waitable-set.poll":
      memory(canon.memory, scope, validator);
      return core(["i32", "i32"], ["i32"]);
    case "stream.new":
    case "future.new":
      elementOf(canon.type, canon.kind, scope, validator);
      return core([], ["i64"]);
    case "stream.read":
    case "stream.write":
    case "future.read":
    case "future.write": {
      const { options } = canon;
      const element = elementOf(canon.type, canon.kind, scope, validator);
      checkOptions(options, scope, validator);
      if (options.postReturn !== undefined || options.callback !== undefined) {
        fail(`${canon.kind} has no canonical options post-return and callback`);
      }
      const reads = canon.kind === "stream.read" || canon.kind === "future.read";
      need(options, validator, {
        memory: element !== undefined,
        realloc: reads && pointers([element], validator),
      });
      const isStream = canon.kind === "stream.read" || canon.kind === "stream.write";
      return core(isStream ? ["i32", "i32", "i32"] : ["i32", "i32"], ["i32"]);
    }
    case "stream.cancel-read":
    case "stream.cancel-write":
    case "future.cancel-read":
    case "future.cancel-write":
      elementOf(canon.type, canon.kind, scope, validator);
      return core(["i32"], ["i32"]);
    case "stream.drop-readable":
    case "stream.drop-writable":
    case "future.drop-readable":
    case "future.drop-writable":
      elementOf(canon.type, canon.kind, scope, validator);
      return core(["i32"], []);
    case "error-context.new":
    case "error-context.debug-message":
      checkOptions(canon.options, scope, validator);
      need(canon.options, validator, { memory: true, realloc: canon.kind === "error-context.debug-message" });
      return canon.kind === "error-context.new" ? core(["i32", "i32"], ["i32"]) : core(["i32", "i32"], []);
    case "thread.new-indirect":
      threadFunction(canon.type, scope, validator);
      threadTable(canon.table, scope, validator);
      return core(["i32", "i32"], ["i32"]);
    case "thread.spawn-ref":
      return core([`ref null #${threadFunction(canon.type, scope, validator).id}`, "i32"], ["i32"]);
    case "thread.spawn-indirect":
      threadFunction(canon.type, scope, validator);
      threadTable(canon.table, scope, validator);
      return core(["i32", "i32"], ["i32"]);
  }
}

function lift(canon: Extract<CanonDefinition, { kind: "lift" }>, scope: Scope, validator: Validator): FunctionNode {
  const { fail, coreTypes } = validator;
  const { options } = canon;
  const type = validator.typed(canon.type, "func", scope);
  const callee = validator.coreFunc(canon.coreFunc, scope);
  checkOptions(options, scope, validator);
  if (options.async && !type.async) fail("the canonical option async needs an async function");
  if (options.callback !== undefined && !options.async) fail("the canonical option callback needs async");
  if (options.async && options.postReturn !== undefined)
    fail("the canonical options async and post-return exclude each other");
  const { params, results } = flatten(type, validator);
  const paramsInMemory = params.length > FLAT_PARAMS_MAX;
  const resultsInMemory = results.length > (options.async ? FLAT_PARAMS_MAX : FLAT_RESULTS_MAX);
  need(options, validator, {
    memory:
      paramsInMemory || resultsInMemory || pointers(paramsOf(type), validator) || pointers([type.result], validator),
    realloc: paramsInMemory || pointers(paramsOf(type), validator),
  });
  const flatResults = options.async
    ? options.callback === undefined
      ? []
      : ["i32"]
    : resultsInMemory
      ? ["i32"]
      : results;
  const expected = coreTypes.func(paramsInMemory ? ["i32"] : params, flatResults);
  if (!sameSignature(callee, expected)) {
    fail(`the core function is ${show(callee)}, and lifting the function needs ${show(expected)}`);
  }
  if (options.postReturn !== undefined) {
    expectSignature(options.postReturn, "post-return", flatResults, [], scope, validator);
  }
  if (options.callback !== undefined) {
    expectSignature(options.callback, "callback", ["i32", "i32", "i32"], ["i32"], scope, validator);
  }
  return type;
}

/** What holds for the options of every definition. */
function checkOptions(options: CanonOptions, scope: Scope, validator: Validator): void {
  if (options.memory !== undefined) memory(options.memory, scope, validator);
  if (options.realloc === undefined) return;
  if (options.memory === undefined) validator.fail("the canonical option realloc needs memory");
  expectSignature(options.realloc, "realloc", ["i32", "i32", "i32", "i32"], ["i32"], scope, validator);
}

function need(
  options: CanonOptions,
  { fail }: Validator,
  { memory, realloc }: { readonly memory: boolean; readonly realloc: boolean },
): void {
  if (memory && options.memory === undefined) fail("the canonical option memory is needed for its types");
  if (realloc && options.realloc === undefined) fail("the canonical option realloc is needed for its types");
}

function memory(index: number, scope: Scope, validator: Validator): void {
  const item = validator.at(scope.core.memory, index, "core memory");
  if (item.kind === "memory" && (item.limits.wide || item.limits.shared)) {
    validator.fail(
      `core memory ${index} is ${item.limits.wide ? "addressed by i64" : "shared"}, which is not supported`,
    );
  }
}

function expectSignature(
  index: number,
  option: string,
  params: readonly string[],
  results: readonly string[],
  scope: Scope,
  validator: Validator,
): void {
  const given = validator.coreFunc(index, scope);
  const expected = validator.coreTypes.func(params, results);
  if (!sameSignature(given, expected)) {
    validator.fail(`the canonical option ${option} is ${show(given)} and must be ${show(expected)}`);
  }
}

function elementOf(
  index: number,
  kind: CanonDefinition["kind"],
  scope: Scope,
  validator: Validator,
): ValueType | undefined {
  const wanted = kind.slice(0, kind.indexOf("."));
  const type = validator.at(scope.types, index, "type");
  const shape: Shape["type"] | undefined = type.kind === "value" ? type.shape.type : undefined;
  if ((shape?.kind === "stream" || shape?.kind === "future") && shape.kind === wanted) return shape.element;
  return validator.fail(`type ${index} is no ${wanted}`);
}

/** What a new thread runs takes one number. */
function threadFunction(index: number, scope: Scope, validator: Validator): CoreType {
  const type = validator.at(scope.coreTypes, index, "core type");
  if (type.kind === "core" && sameSignature(type, validator.coreTypes.func(["i32"], []))) return type;
  return validator.fail(`core type ${index} is not (func (param i32)), which a thread starts with`);
}

function threadTable(index: number, scope: Scope, validator: Validator): void {
  const item = validator.at(scope.core.table, index, "core table");
  if (item.kind !== "table" || item.element !== "ref null func") {
    validator.fail(`core table ${index} does not hold functions`);
  }
}

function flatten(
  type: FunctionNode,
  { table }: Validator,
): { readonly params: CoreFlat[]; readonly results: readonly CoreFlat[] } {
  const params: CoreFlat[] = [];
  for (const param of type.params) {
    params.push(...table.shapeOf(param.type).flat);
    if (params.length > FLAT_PARAMS_MAX) break;
  }
  return { params, results: type.result === undefined ? [] : table.shapeOf(type.result).flat };
}

function paramsOf(type: FunctionNode): ValueType[] {
  return type.params.map((param) => param.type);
}

function pointers(types: readonly (ValueType | undefined)[], { table }: Validator): boolean {
  return types.some((type) => type !== undefined && table.shapeOf(type).pointers);
}

function sameSignature(a: CoreType, b: CoreType): boolean {
  if (a.composite.kind !== "func") return false;
  const same = (left: readonly string[], right: readonly string[]) =>
    left.length === right.length && left.every((type, i) => type === right[i]);
  return same(a.composite.params, b.composite.params) && same(a.composite.results, b.composite.results);
}

function show({ composite: { params, results } }: CoreType): string {
  return `(${params.join(", ")}) -> (${results.join(", ")})`;
}
