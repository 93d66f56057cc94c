/**
 * What is left on the shelves. Other services call it; no route leads here.
 *
 * Stock is counted by what was taken: one atomic addition decides who gets the last piece.
 */
import { keyvalue } from "@cytoplane/sdk";
import type { Line } from "../cart/cart.ts";
import { problem } from "../problem.ts";
import opening from "./stock.json" with { type: "json" };

const stock = new Map(Object.entries(opening));
const taken = keyvalue<number>("taken");

export default {
  async fetch(request: Request): Promise<Response> {
    const { lines } = (await request.json()) as { lines: Line[] };
    switch (new URL(request.url).pathname) {
      case "/reserve":
        return reserve(lines, request.signal);
      case "/release":
        await release(lines);
        return new Response(null, { status: 204 });
    }
    return problem(404, "There is nothing here");
  },
};

/**
 * All of the lines or none, and none if who asked no longer waits: they would not know what they hold.
 * Taken in one order by everybody, so that of two who want the same one gets it.
 */
async function reserve(lines: readonly Line[], signal: AbortSignal): Promise<Response> {
  const held: Line[] = [];
  let refusal: Response | undefined;
  try {
    for (const line of lines.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))) {
      refusal = await take(line);
      if (refusal) break;
      held.push(line);
      signal.throwIfAborted();
    }
  } catch (error) {
    await release(held);
    throw error;
  }
  if (refusal) await release(held);
  return refusal ?? new Response(null, { status: 204 });
}

async function take({ sku, quantity }: Line): Promise<Response | undefined> {
  const pieces = stock.get(sku);
  if (pieces === undefined) return problem(404, `There is no product ${sku}`);
  const left = pieces - ((await taken.get(sku)) ?? 0);
  if (left >= quantity) {
    if ((await taken.increment(sku, quantity)) <= pieces) return undefined;
    await taken.increment(sku, -quantity); // somebody was faster
  }
  return problem(409, `There is too little of ${sku} in stock`, { sku, wanted: quantity, left: Math.max(0, left) });
}

async function release(lines: readonly Line[]): Promise<void> {
  for (const { sku, quantity } of lines) await taken.increment(sku, -quantity);
}
