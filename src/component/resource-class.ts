/**
 * Resources that guests define, as they are outside of their guest: for JavaScript, objects of a class
 * with the methods that the guest exports for them.
 *
 *   owned ─┬─ passed as `own<T>`              given away
 *          ├─ [Symbol.dispose]()              dropped: its destructor runs
 *          └─ its instance ends, or is reset  of no use; no destructor runs
 *
 * An object stands for one handle: what comes back from a guest is another object. One that is lent to
 * a call can be given away or dropped once that call has ended. Whatever is wrong with an object is a
 * TypeError for who passes it, and the guest does not hear of it.
 */
import { describe } from "./canon-context.ts";
import { type BorrowScope, ResourceHandle } from "./handles.ts";
import { camelCase, pascalCase, type ResourceType } from "./types.ts";

/** A function that a guest exports, `this` of a method first among its arguments. */
export type Member = (...args: unknown[]) => unknown;
export type ResourceClass = new (...args: never[]) => object;

/**
 * The class of a resource. Of `members`, by the names of the binary (`[method]counter.increment`), it
 * has those of that resource. Where the constructor takes its time, `new` answers with a promise.
 */
export function resourceClass(name: string, members: ReadonlyMap<string, Member>): ResourceClass {
  const className = pascalCase(name);
  const construct = members.get(`[constructor]${name}`);
  function Class(...args: unknown[]): unknown {
    if (new.target === undefined) throw new TypeError(`Cannot call the class ${className}: it is made with new`);
    if (construct === undefined)
      throw new TypeError(`Cannot make a ${className}: the component exports no constructor for it`);
    return construct(...args);
  }
  const property = { writable: true, configurable: true };
  Object.defineProperty(Class, "name", { value: className, configurable: true });
  Object.setPrototypeOf(Class.prototype, GuestResource.prototype);
  for (const [full, member] of members) {
    const [, kind, of, inner] = /^\[(method|static)\]([^.]+)\.(.+)$/.exec(full) ?? [];
    if (of !== name) continue;
    // The one name that a class has taken, `prototype`, stays its own.
    if (kind === "static") Reflect.defineProperty(Class, camelCase(inner!), { ...property, value: member });
    else Object.defineProperty(Class.prototype, camelCase(inner!), { ...property, value: methodOf(member) });
  }
  return Class as unknown as ResourceClass;
}

function methodOf(member: Member): Member {
  return function (this: unknown, ...args) {
    return member(this, ...args);
  };
}

/** What methods are named is the guest's choice: an object has no other property. */
export class GuestResource {
  readonly #owner: GuestResources;
  readonly #epoch: object;
  readonly #handle: ResourceHandle;
  #state: "held" | "given away" | "dropped" = "held";

  constructor(owner: GuestResources, epoch: object, handle: ResourceHandle) {
    this.#owner = owner;
    this.#epoch = epoch;
    this.#handle = handle;
  }

  /** Drops it, which is nothing where it was given away or its instance has ended. */
  [Symbol.dispose](): void {
    if (this.#state !== "held" || this.#epoch !== this.#owner.epoch || !this.#handle.own) return;
    this.#assertNotLent("drop");
    this.#state = "dropped";
    this.#owner.destroy(this.#handle.type, this.#handle.resource as number);
  }

  /** The representation of `value` in `owner`, which takes it where it is passed as `own`. */
  static pass(value: unknown, owner: GuestResources, type: ResourceType, own: boolean, scope?: BorrowScope): number {
    const expected = () => owner.nameOf(type);
    if (typeof value !== "object" || value === null || !(#handle in value))
      throw new TypeError(`Cannot pass ${describe(value)}: a ${expected()} is expected`);
    const handle = value.#handle;
    if (handle.type !== type) throw new TypeError(`Cannot pass ${describe(value)}: a ${expected()} is expected`);
    if (value.#epoch !== owner.epoch)
      throw new TypeError(`Cannot pass the ${expected()}: it is of another instance, or from before a reset`);
    if (value.#state !== "held") throw new TypeError(`Cannot pass the ${expected()}: it was ${value.#state}`);
    if (own) {
      if (!handle.own) throw new TypeError(`Cannot give the ${expected()} away: it is borrowed`);
      value.#assertNotLent("give away");
      value.#state = "given away";
    } else if (handle.own && scope !== undefined) {
      handle.lends++;
      scope.lent.push(handle);
    }
    return handle.resource as number;
  }

  #assertNotLent(act: string): void {
    if (this.#handle.lends > 0)
      throw new TypeError(`Cannot ${act} ${describe(this)}: a call that it is lent to has not ended`);
  }
}

/** What of an instance's resources is outside of the guest that defines them. */
export class GuestResources {
  readonly classes = new Map<ResourceType, ResourceClass>();
  /** Another one from each reset on: objects from before are not of it. */
  epoch: object = {};
  /** Runs the destructor of one that JavaScript drops. */
  destroy: (type: ResourceType, representation: number) => void = () => undefined;

  lift(type: ResourceType, representation: number, own: boolean): object {
    const handle = new ResourceHandle(type, representation, own, undefined);
    const Class = this.classes.get(type);
    if (Class === undefined) return new GuestResource(this, this.epoch, handle);
    return Reflect.construct(GuestResource, [this, this.epoch, handle], Class);
  }

  lower(type: ResourceType, value: unknown, own: boolean, scope: BorrowScope | undefined): number {
    return GuestResource.pass(value, this, type, own, scope);
  }

  nameOf(type: ResourceType): string {
    return this.classes.get(type)?.name ?? type.name;
  }

  /** The instance is as it was first: what JavaScript still holds is worth nothing. */
  clear(): void {
    this.epoch = {};
  }
}
