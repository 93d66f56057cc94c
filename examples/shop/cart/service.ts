/** Carts: anyone who knows the id of one may read and change it. A cart nobody has used yet is empty. */
import { service } from "@cytoplane/sdk";
import { readObject } from "../json.ts";
import { problem } from "../problem.ts";
import { type Cart, change, changesPerCart, type Line, read } from "./cart.ts";

const catalog = service("catalog");
const quantityPerLine = 1000;

export default {
  async fetch(request: Request): Promise<Response> {
    const [, , id = "", part = "", sku = ""] = new URL(request.url).pathname.split("/");
    if (!/^[\w-]{1,64}$/.test(id)) return problem(400, "A cart's id is 1 to 64 letters, digits, - or _");
    switch (`${request.method} ${part}`) {
      case "GET ":
        return show(await read(id));
      case "POST items":
        return add(id, await readObject(request));
      case "DELETE items":
        return remove(id, sku);
      case "POST ordered": // no route leads here: only checkout does
        await change(id, { ordered: ((await request.json()) as { lines: Line[] }).lines });
        return new Response(null, { status: 204 });
    }
    return problem(404, "There is nothing here");
  },
};

function show({ id, items, orders }: Cart): Response {
  return Response.json({ id, items, orders });
}

async function add(id: string, item: Record<string, unknown> | undefined): Promise<Response> {
  if (!item) return problem(400, "The body must be a JSON object with sku and quantity");
  const { sku, quantity } = item;
  if (typeof sku !== "string" || sku === "") return problem(400, "The sku must be a text");
  if (typeof quantity !== "number" || !Number.isInteger(quantity) || quantity < 1 || quantity > quantityPerLine)
    return problem(400, `The quantity must be a whole number from 1 to ${quantityPerLine}`);

  const [product, cart] = await Promise.all([catalog.fetch(`/products/${encodeURIComponent(sku)}`), read(id)]);
  if (product.status === 404) return problem(404, `There is no product ${sku}`);
  if (!product.ok) throw new Error(`The catalogue answered ${product.status}`);
  if (cart.changes >= changesPerCart) return problem(409, "This cart was changed too often: start a new one");
  const held = cart.items.find((line) => line.sku === sku)?.quantity ?? 0;
  if (held + quantity > quantityPerLine)
    return problem(409, `A cart holds at most ${quantityPerLine} of one product, and has ${held} of this one`);

  await change(id, { added: { sku, quantity } });
  return show(await read(id));
}

async function remove(id: string, sku: string): Promise<Response> {
  const cart = await read(id);
  if (!cart.items.some((line) => line.sku === sku)) return problem(404, `There is no ${sku} in this cart`);
  await change(id, { removed: sku });
  return show(await read(id));
}
