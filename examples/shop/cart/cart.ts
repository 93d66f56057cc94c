/**
 * A cart is the sum of its changes. Each change is written once, under the next number, so that any number of
 * hands may change one cart at the same time and no change is lost.
 */
import { keyvalue } from "@cytoplane/sdk";

export interface Line {
  readonly sku: string;
  readonly quantity: number;
}

export interface Cart {
  readonly id: string;
  readonly items: readonly Line[];
  /** How many orders were placed from it. */
  readonly orders: number;
}

export type Change =
  | { readonly added: Line }
  | { readonly removed: string }
  /** An order was placed: these lines have left the cart, what was added meanwhile stays. */
  | { readonly ordered: readonly Line[] };

/** The number of changes to a cart, and each change under `<cart>/<number>`. */
const counts = keyvalue<number>("counts");
const changes = keyvalue<Change>("changes");

/** A cart takes this many changes; reading it costs one read a change. */
export const changesPerCart = 500;

export async function change(id: string, what: Change): Promise<void> {
  const number = await counts.increment(id, 1);
  await changes.set(`${id}/${number}`, what);
}

export async function read(id: string): Promise<Cart & { readonly changes: number }> {
  const count = (await counts.get(id)) ?? 0;
  const keys = Array.from({ length: count }, (_, index) => `${id}/${index + 1}`);
  const history = await Promise.all(keys.map((key) => changes.get(key)));

  const quantities = new Map<string, number>();
  const add = (sku: string, quantity: number) => {
    const sum = (quantities.get(sku) ?? 0) + quantity;
    if (sum > 0) quantities.set(sku, sum);
    else quantities.delete(sku);
  };
  let orders = 0;
  for (const entry of history) {
    if (!entry) continue; // numbered by a writer that has not written yet, or never will
    if ("added" in entry) add(entry.added.sku, entry.added.quantity);
    else if ("removed" in entry) quantities.delete(entry.removed);
    else {
      for (const line of entry.ordered) add(line.sku, -line.quantity);
      orders += 1;
    }
  }
  const items = [...quantities].map(([sku, quantity]) => ({ sku, quantity }));
  return { id, items, orders, changes: count };
}
