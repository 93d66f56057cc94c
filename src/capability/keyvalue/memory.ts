/**
 * keyvalue in the memory of this process: for tests, and for data that may be lost.
 *
 * A namespace lives as long as the provider: bindings that come and go find it as they left it,
 * and a restart finds nothing.
 */
import { createBounds, pageKeys, refuseOtherOptions, toPage } from "./bounds.ts";
import type { KeyValue, KeyValueConfig, KeyValueProvider } from "./contract.ts";

interface Namespace {
  readonly values: Map<string, Uint8Array>;
  /** The keys in order; dropped when one comes or goes, made again when asked for. */
  ordered: readonly string[] | undefined;
}

export function createMemoryKeyValue(): KeyValueProvider {
  const namespaces = new Map<string, Namespace>();
  return {
    async open(config) {
      refuseOtherOptions("memory", config.options, []);
      const namespace = namespaces.get(config.namespace) ?? { values: new Map(), ordered: undefined };
      namespaces.set(config.namespace, namespace);
      return { ...bind(namespace, config), [Symbol.asyncDispose]: async () => undefined };
    },
  };
}

function bind(namespace: Namespace, config: KeyValueConfig): KeyValue {
  const bounds = createBounds(config);
  const { values } = namespace;

  function put(key: string, value: Uint8Array): void {
    if (!values.has(key)) namespace.ordered = undefined;
    values.set(key, value);
  }

  return {
    get(key) {
      bounds.key(key);
      return values.get(key)?.slice();
    },
    async set(key, value) {
      bounds.key(key);
      put(key, bounds.value(value));
    },
    async delete(key) {
      bounds.key(key);
      if (values.delete(key)) namespace.ordered = undefined;
    },
    exists(key) {
      bounds.key(key);
      return values.has(key);
    },
    keys(cursor) {
      const ordered = namespace.ordered ?? [...values.keys()].sort(compareBytes);
      namespace.ordered = ordered;
      const start = cursor === undefined ? 0 : firstAfter(ordered, cursor);
      return toPage(ordered.slice(start, start + pageKeys + 1));
    },
    async increment(key, delta) {
      bounds.key(key);
      const stored = values.get(key);
      const sum = bounds.sum(stored && Buffer.from(stored).toString("latin1"), delta);
      put(key, Uint8Array.from(Buffer.from(String(sum))));
      return sum;
    },
  };
}

/** Strings compare by UTF-16 units, which is another order beyond the basic plane. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function firstAfter(ordered: readonly string[], cursor: string): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(ordered[middle] ?? "", cursor) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
