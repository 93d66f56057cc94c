/**
 * Whether one thing can stand where another is asked for: what is given for an import, and what an export
 * is said to be. Modules, instances and components may offer more and ask for less; all other types are
 * the same or are not.
 */
import type { CoreTypes, ModuleType } from "./core-interface.ts";
import { a, quote } from "./extern-name.ts";
import {
  type ComponentNode,
  type Entity,
  type Resource,
  Substitution,
  type TypeNode,
  type TypeTable,
} from "./validate-types.ts";

export interface Instantiation {
  readonly exports: ReadonlyMap<string, Entity>;
}

export class Fit {
  readonly #table: TypeTable;
  readonly #coreTypes: CoreTypes;
  readonly #spend: (steps: number) => void;

  /** `spend` is told of each step, and may refuse more of them. */
  constructor(table: TypeTable, coreTypes: CoreTypes, spend: (steps: number) => void) {
    this.#table = table;
    this.#coreTypes = coreTypes;
    this.#spend = spend;
  }

  substitution(): Substitution {
    return new Substitution(this.#table, this.#spend);
  }

  renew(resources: ReadonlySet<Resource>, into: Substitution, made: (resource: Resource) => void): void {
    for (const resource of resources) {
      const anew = this.#table.resource(undefined);
      into.resource(resource, anew);
      made(anew);
    }
  }

  /** What an instance of a component exports when it is given `args`, or why it cannot be made. */
  instantiate(
    component: ComponentNode,
    args: ReadonlyMap<string, Entity>,
    made: (resource: Resource) => void,
  ): Instantiation | string {
    const given = this.substitution();
    for (const [name, wanted] of component.imports) {
      const entity = args.get(name);
      if (!entity) return `nothing is given for the import ${quote(name)}`;
      this.bind(entity, wanted, component.given, given);
      const problem = this.mismatch(entity, wanted, given);
      if (problem) return `what is given for the import ${quote(name)} does not fit: ${problem}`;
    }
    this.renew(component.fresh, given, made);
    this.#spend(component.exports.size);
    return { exports: new Map([...component.exports].map(([name, entity]) => [name, given.entity(entity)])) };
  }

  /** Puts the types that are given in the place of those that were asked for. */
  bind(entity: Entity, wanted: Entity, resources: ReadonlySet<Resource>, into: Substitution): void {
    this.#spend(1);
    if (wanted.sort === "type" && entity.sort === "type") {
      const { type } = wanted;
      into.node(type, entity.type);
      if (type.kind !== "resource" || entity.type.kind !== "resource") return;
      if (resources.has(type.resource) && !into.has(type.resource)) into.resource(type.resource, entity.type.resource);
    } else if (wanted.sort === "instance" && entity.sort === "instance") {
      for (const [name, inner] of wanted.type.exports) {
        const found = entity.type.exports.get(name);
        if (found) this.bind(found, inner, resources, into);
      }
    }
  }

  /** Why `entity` cannot stand where `wanted` is asked for, once `given` is put in its place; undefined if it can. */
  mismatch(entity: Entity, wanted: Entity, given: Substitution): string | undefined {
    this.#spend(1);
    if (entity.sort !== wanted.sort) return `it is ${a(entity.sort)}, not ${a(wanted.sort)}`;
    switch (entity.sort) {
      case "core-module":
        return this.#moduleMismatch(entity.type, (wanted as typeof entity).type);
      case "func": {
        const type = given.type((wanted as typeof entity).type);
        return entity.type.key === type.key ? undefined : "it is a function of another type";
      }
      case "instance":
        return this.#exportsMismatch(entity.type.exports, (wanted as typeof entity).type.exports, given);
      case "component":
        return this.#componentMismatch(entity.type, given.type((wanted as typeof entity).type));
      case "type":
        return this.#typeMismatch(entity.type, (wanted as typeof entity).type, given);
    }
  }

  #typeMismatch(type: TypeNode, wanted: TypeNode, given: Substitution): string | undefined {
    if (type.kind !== wanted.kind) return `it is ${a(type.kind)} type, not ${a(wanted.kind)} type`;
    switch (type.kind) {
      case "value":
        return given.inside(wanted as typeof type).shape.key === type.shape.key
          ? undefined
          : `it is ${a(type.shape.type.kind)} that is not the same type`;
      case "resource": {
        const resource = given.resourceFor((wanted as typeof type).resource);
        return resource === type.resource ? undefined : "it is another resource";
      }
      case "func":
        return given.inside(wanted as typeof type).key === type.key ? undefined : "it is another function type";
      case "instance": {
        const other = given.inside(wanted as typeof type);
        return (
          this.#exportsMismatch(type.exports, other.exports, given) ??
          this.#exportsMismatch(other.exports, type.exports, given)
        );
      }
      case "component": {
        const other = given.inside(wanted as typeof type);
        return this.#componentMismatch(type, other) ?? this.#componentMismatch(other, type);
      }
    }
  }

  #exportsMismatch(
    exports: ReadonlyMap<string, Entity>,
    wanted: ReadonlyMap<string, Entity>,
    given: Substitution,
  ): string | undefined {
    for (const [name, inner] of wanted) {
      const entity = exports.get(name);
      if (!entity) return `it exports no ${quote(name)}`;
      const problem = this.mismatch(entity, inner, given);
      if (problem) return `its export ${quote(name)} does not fit: ${problem}`;
    }
    return undefined;
  }

  /** A component that imports no more and exports no less can stand for another. */
  #componentMismatch(component: ComponentNode, wanted: ComponentNode): string | undefined {
    const made = this.instantiate(component, wanted.imports, () => {});
    if (typeof made === "string") return made;
    const given = this.substitution();
    for (const [name, entity] of wanted.exports) {
      const found = made.exports.get(name);
      if (found) this.bind(found, entity, wanted.fresh, given);
    }
    return this.#exportsMismatch(made.exports, wanted.exports, given);
  }

  #moduleMismatch(module: ModuleType, wanted: ModuleType): string | undefined {
    this.#spend(wanted.exports.size);
    for (const [from, names] of module.imports) {
      this.#spend(names.size);
      for (const [name, item] of names) {
        const offered = wanted.imports.get(from)?.get(name);
        if (!offered) return `it imports ${quote(name)} of ${quote(from)}`;
        const problem = this.#coreTypes.mismatch(offered, item);
        if (problem) return `its import ${quote(name)} of ${quote(from)} does not fit: ${problem}`;
      }
    }
    for (const [name, item] of wanted.exports) {
      const offered = module.exports.get(name);
      if (!offered) return `it exports no ${quote(name)}`;
      const problem = this.#coreTypes.mismatch(offered, item);
      if (problem) return `its export ${quote(name)} does not fit: ${problem}`;
    }
    return undefined;
  }
}
