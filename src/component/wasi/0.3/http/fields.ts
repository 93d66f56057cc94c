/** The resource `wasi:http/types.fields` of 0.3: as that of 0.2, with a word for too much. */
import type { Headers } from "../../../../kernel/index.ts";
import { type Entry, Fields as Fields02, type HeaderError, passable } from "../../http/fields.ts";

export class Fields extends Fields02 {
  static override received(headers: Headers): Fields {
    return new Fields(passable(headers), false);
  }

  static override fromList(list: readonly (readonly [string, Uint8Array])[]): Fields {
    const fields = new Fields();
    for (const [name, value] of list) fields.append(name, value);
    return fields;
  }

  getAndDelete(name: string): Uint8Array[] {
    const values = this.get(name);
    this.delete(name);
    return values;
  }

  copyAll(): [string, Uint8Array][] {
    return this.entries();
  }

  override clone(): Fields {
    return this.copyInto(new Fields([...this.headers()]));
  }

  override frozen(): Fields {
    return this.copyInto(new Fields(this.headers() as Entry[], false));
  }

  protected override exceeded(): never {
    throw { tag: "size-exceeded" } satisfies HeaderError;
  }
}
