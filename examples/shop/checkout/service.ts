/**
 * Turns a cart into an order: reserves the stock, charges the card, records the order, empties the cart.
 *
 * What fails before the charge gives the stock back. What fails after it leaves the cart as it was, and the next
 * attempt ends in the same order: its id is the cart's and its number, and payments charges an order once.
 */
import { keyvalue, service } from "@cytoplane/sdk";
import type { Cart, Line } from "../cart/cart.ts";
import type { Product } from "../catalog/product.ts";
import { readObject } from "../json.ts";
import { problem } from "../problem.ts";
import { claim } from "./claim.ts";

export interface Order {
  readonly id: string;
  readonly cart: string;
  readonly lines: readonly (Line & { readonly name: string; readonly priceCents: number })[];
  readonly totalCents: number;
  readonly currency: string;
}

const orders = keyvalue<Order>("orders");

export default {
  async fetch(request: Request): Promise<Response> {
    const cart = new URL(request.url).pathname.split("/")[2] ?? "";
    const { card: given } = (await readObject(request)) ?? {};
    const card = cardNumber(given);
    if (!card) return problem(400, "The body must be a JSON object with a card, a text of 4 to 19 digits");

    const giveUp = await claim(cart);
    if (!giveUp) return problem(409, "This cart is already being checked out");
    try {
      return Response.json(await checkout(cart, card), { status: 201 });
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    } finally {
      await giveUp();
    }
  },
};

async function checkout(id: string, card: string): Promise<Order> {
  const cart: Cart = await (await ask("cart", `/carts/${id}`)).json();
  if (cart.items.length === 0) throw new Refusal(problem(409, "This cart is empty"));
  const order = await price(cart);

  await ask("inventory", "/reserve", { lines: cart.items });
  try {
    await ask("payments", "/charges", { order: order.id, amountCents: order.totalCents, card });
  } catch (error) {
    await ask("inventory", "/release", { lines: cart.items });
    throw error;
  }
  await orders.set(order.id, order);
  await ask("cart", `/carts/${id}/ordered`, { lines: cart.items });
  return order;
}

async function price(cart: Cart): Promise<Order> {
  const lines = await Promise.all(
    cart.items.map(async (line) => {
      const product: Product = await (await ask("catalog", `/products/${line.sku}`)).json();
      return { ...line, name: product.name, priceCents: product.priceCents, currency: product.currency };
    }),
  );
  return {
    id: `${cart.id}-${cart.orders + 1}`,
    cart: cart.id,
    lines: lines.map(({ currency: _, ...line }) => line),
    totalCents: lines.reduce((sum, line) => sum + line.priceCents * line.quantity, 0),
    currency: lines[0]!.currency,
  };
}

/** Another service said no: its words go to the customer as they are. */
class Refusal extends Error {
  readonly reply: Response;
  constructor(reply: Response) {
    super(`Refused with ${reply.status}`);
    this.reply = reply;
  }
}

/** Asks another service; with a body it is a POST. */
async function ask(name: string, path: string, body?: unknown): Promise<Response> {
  const reply = await service(name).fetch(path, body ? { method: "POST", body: JSON.stringify(body) } : {});
  if (reply.ok) return reply;
  if (reply.status < 500) throw new Refusal(reply);
  throw new Error(`${name} answered ${reply.status}`);
}

function cardNumber(value: unknown): string | undefined {
  const digits = typeof value === "string" ? value.replace(/[ -]/g, "") : "";
  return /^\d{4,19}$/.test(digits) ? digits : undefined;
}
