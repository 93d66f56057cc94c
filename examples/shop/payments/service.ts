/**
 * Charges cards, in play money: a card ending in 0002 is declined. Other services call it; no route leads here.
 *
 * An order is charged once, however often it is asked for. A card number is neither kept nor logged.
 */
import { keyvalue } from "@cytoplane/sdk";
import { problem } from "../problem.ts";

export interface Charge {
  readonly order: string;
  readonly amountCents: number;
  readonly card: string;
}

/** What was charged for each order, in cents. */
const charged = keyvalue<number>("charged");

export default {
  async fetch(request: Request): Promise<Response> {
    const { order, amountCents, card } = (await request.json()) as Charge;
    if (card.endsWith("0002")) return problem(402, "The card was declined");

    const sum = await charged.increment(order, amountCents);
    if (request.signal.aborted) {
      await charged.increment(order, -amountCents); // who asked no longer waits, and will ask again
      throw request.signal.reason;
    }
    if (sum === amountCents) {
      console.log(`charged ${order} with ${amountCents} cents`);
      return new Response(null, { status: 201 });
    }
    await charged.increment(order, -amountCents);
    return sum === 2 * amountCents
      ? new Response(null, { status: 200 })
      : problem(409, `Order ${order} was already charged with another amount`);
  },
};
