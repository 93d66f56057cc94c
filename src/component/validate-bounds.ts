/**
 * How much a component may amount to. Types share their parts in a file, however often they are repeated;
 * whoever links them, prints them or makes code of them goes through all of it. So what a type would be
 * with nothing shared has a limit, and what is looked at over the whole component has one.
 */
import type { Entity, TypeNode, TypeTable } from "./validate-types.ts";

/** The most parts that one function's types may have, and that any type may have, counted without sharing. */
const FUNCTION_PARTS_MAX = 10_000;
const PARTS_MAX = 50_000;
/** How deep types of instances and components, and new names of types, may follow each other. */
const DEPTH_MAX = 400;
/** Steps of looking at what types are made of, over the whole component. */
const STEPS_MAX = 500_000;

/** What a type amounts to with nothing shared. */
interface Weight {
  readonly parts: number;
  readonly depth: number;
}

export class Bounds {
  readonly #table: TypeTable;
  readonly #fail: (problem: string) => never;
  readonly #weights = new WeakMap<TypeNode, Weight>();
  #steps = 0;

  constructor(table: TypeTable, fail: (problem: string) => never) {
    this.#table = table;
    this.#fail = fail;
  }

  readonly spend = (steps: number): void => {
    this.#steps += steps;
    if (this.#steps > STEPS_MAX) this.#fail("the types of the component are too large together");
  };

  /** Refuses a type that small parts, repeated, would make too large to look at. */
  bounded<T extends TypeNode>(type: T): T {
    const { parts, depth } = this.#weigh(type);
    if (type.kind === "func" && parts > FUNCTION_PARTS_MAX) {
      this.#fail(`a function's types have ${parts} parts, more than ${FUNCTION_PARTS_MAX}`);
    }
    // A value's type may be as large as it likes until something is to be passed by it.
    if (type.kind !== "value" && parts > PARTS_MAX) this.#fail(`a type has ${parts} parts, more than ${PARTS_MAX}`);
    if (depth > DEPTH_MAX) this.#fail(`types follow each other more than ${DEPTH_MAX} deep`);
    return type;
  }

  #weigh(type: TypeNode): Weight {
    const known = this.#weights.get(type);
    if (known) return known;
    let parts = 1;
    let depth = type.of ? this.#weigh(type.of).depth : 0;
    const add = (weight: Weight) => {
      parts += weight.parts;
      depth = Math.max(depth, weight.depth);
    };
    if (type.kind === "value") parts = type.shape.parts;
    else if (type.kind === "func") {
      for (const param of type.params) parts += this.#table.shapeOf(param.type).parts;
      if (type.result !== undefined) parts += this.#table.shapeOf(type.result).parts;
    } else if (type.kind !== "resource") {
      const imports = type.kind === "component" ? type.imports.values() : [];
      for (const entity of [...imports, ...type.exports.values()]) {
        if (entity.sort === "core-module") parts++;
        else add(this.#weigh(entity.type));
      }
    }
    const weight = { parts, depth: depth + 1 };
    this.#weights.set(type, weight);
    return weight;
  }

  /** What is imported or exported is looked at in whole, by whoever links it as well. */
  imported(entity: Entity): Entity {
    if (entity.sort === "core-module") return entity;
    const { parts } = this.#weigh(this.bounded(entity.type));
    if (parts > PARTS_MAX) this.#fail(`a type has ${parts} parts, more than ${PARTS_MAX}`);
    this.spend(parts);
    return entity;
  }
}
