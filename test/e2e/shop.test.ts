/** The example shop as its users see it: `cyto up` as a real process, over HTTP, with its data in a folder of its own. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import stock from "../../examples/shop/inventory/stock.json" with { type: "json" };
import { type Running, startCyto } from "./process.ts";

const source = fileURLToPath(new URL("../../examples/shop", import.meta.url));
const goodCard = "4929 1234 5678 9010";
const declinedCard = "4000000000000002";

describe("the shop", () => {
  let folder: string;
  let shop: Running;
  /** Tests that count stock take products of their own; the others use those that end in 101. */
  const unsold = new Set(Object.entries(stock).filter(([sku]) => !/^(KIT|TAB)-101-/.test(sku)));
  const productWith = (pieces: (count: number) => boolean): string => {
    for (const entry of unsold) {
      if (!pieces(entry[1])) continue;
      unsold.delete(entry);
      return entry[0];
    }
    throw new Error("The catalogue has no such product left");
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-shop-"));
    await cp(source, folder, { recursive: true, filter: (path) => !path.includes(join(".cyto", "data")) });
    shop = await start();
  });
  after(async () => {
    await shop?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const start = () => startCyto(["up", folder], { timeoutMs: 120_000 });
  const get = (path: string) => fetch(shop.address + path);
  const send = (method: string, path: string, body?: unknown, signal?: AbortSignal) =>
    fetch(shop.address + path, {
      method,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { "content-type": "application/json" },
      ...(signal && { signal }),
    });
  const add = async (cart: string, sku: string, quantity = 1) => {
    const reply = await send("POST", `/carts/${cart}/items`, { sku, quantity });
    assert.equal(reply.status, 200, await reply.clone().text());
    return (await reply.json()) as Cart;
  };
  /** The ids of all orders that were answered. */
  const ordered: string[] = [];
  const checkout = async (cart: string, card = goodCard) => {
    const reply = await send("POST", `/carts/${cart}/checkout`, { card });
    if (reply.status === 201) ordered.push(((await reply.clone().json()) as Order).id);
    return reply;
  };
  const cartOf = async (id: string) => (await (await get(`/carts/${id}`)).json()) as Cart;
  /** What inventory says is left, asked for by wanting too much. */
  const left = async (sku: string) => {
    const cart = `count-${sku}-${Math.random().toString(36).slice(2)}`;
    await add(cart, sku, 1000);
    const refusal = await checkout(cart);
    assert.equal(refusal.status, 409);
    return ((await refusal.json()) as { left: number }).left;
  };
  const refused = async (reply: Response, status: number) => {
    assert.equal(reply.status, status, await reply.clone().text());
    assert.match(reply.headers.get("content-type") ?? "", /^application\/problem\+json/);
    const problem = (await reply.json()) as { status: number; title: string };
    assert.equal(problem.status, status);
    assert.ok(problem.title.length > 5);
    return problem;
  };

  describe("catalog", () => {
    test("lists a page of products, and says how many there are", async () => {
      const page = (await (await get("/products")).json()) as Page;
      assert.ok(page.total >= 500);
      assert.equal(page.page, 1);
      assert.equal(page.products.length, 24);
      assert.equal(page.pages, Math.ceil(page.total / 24));
    });

    test("goes through all pages without a gap or a double", async () => {
      const { total, pages } = (await (await get("/products")).json()) as Page;
      const seen = new Set<string>();
      for (let page = 1; page <= pages; page += 1)
        for (const { sku } of ((await (await get(`/products?page=${page}`)).json()) as Page).products) seen.add(sku);
      assert.equal(seen.size, total);
      assert.deepEqual(((await (await get(`/products?page=${pages + 1}`)).json()) as Page).products, []);
    });

    test("finds what has every word of the query, in any case and script", async () => {
      const found = (await (await get(`/products?query=${encodeURIComponent("SAUTÉ induction")}`)).json()) as Page;
      assert.equal(found.total, 3);
      assert.ok(found.products.every(({ name }) => name.startsWith("Tri-Ply Sauté Pan")));
      assert.equal(((await (await get("/products?query=zeppelin")).json()) as Page).total, 0);
    });

    test("shows one product", async () => {
      const reply = await get("/products/KIT-101-20");
      assert.equal(reply.status, 200);
      assert.match(reply.headers.get("content-type") ?? "", /^application\/json/);
      const product = (await reply.json()) as { name: string; priceCents: number; currency: string };
      assert.equal(product.name, "Carbon Steel Frying Pan, 20 cm");
      assert.deepEqual([product.priceCents, product.currency], [4900, "EUR"]);
    });

    test("refuses an unknown product and a page that is none", async () => {
      await refused(await get("/products/NO-SUCH-SKU"), 404);
      for (const page of ["0", "-1", "two", "1.5", "99999999999999999999"])
        await refused(await get(`/products?page=${page}`), 400);
    });
  });

  describe("cart", () => {
    test("is empty at first, and holds what was put in", async () => {
      assert.deepEqual((await cartOf("new-one")).items, []);
      await add("c1", "KIT-101-20", 2);
      await add("c1", "TAB-101-MOS");
      const cart = await add("c1", "KIT-101-20");
      assert.deepEqual(cart.items, [
        { sku: "KIT-101-20", quantity: 3 },
        { sku: "TAB-101-MOS", quantity: 1 },
      ]);
      assert.deepEqual(await cartOf("c1"), cart);
    });

    test("gives a line back, once", async () => {
      await add("c2", "KIT-101-20");
      await add("c2", "KIT-101-24");
      const reply = await send("DELETE", "/carts/c2/items/KIT-101-20");
      assert.equal(reply.status, 200);
      assert.deepEqual(((await reply.json()) as Cart).items, [{ sku: "KIT-101-24", quantity: 1 }]);
      await refused(await send("DELETE", "/carts/c2/items/KIT-101-20"), 404);
    });

    test("refuses an unknown sku", async () => {
      await refused(await send("POST", "/carts/c3/items", { sku: "NO-SUCH-SKU", quantity: 1 }), 404);
      assert.deepEqual((await cartOf("c3")).items, []);
    });

    test("refuses quantities that are none", async () => {
      for (const quantity of [0, -1, 1.5, 1001, 1e308, "2", null, undefined, [1]])
        await refused(await send("POST", "/carts/c4/items", { sku: "KIT-101-20", quantity }), 400);
      await add("c4", "KIT-101-20", 1000);
      await refused(await send("POST", "/carts/c4/items", { sku: "KIT-101-20", quantity: 1 }), 409);
    });

    test("refuses bodies that are no such object", async () => {
      for (const body of ["", "{", "[]", "null", '"sku"', '{"quantity":1}', '{"sku":7,"quantity":1}'])
        await refused(await send("POST", "/carts/c5/items", body), 400);
    });

    test("refuses an id that is none", async () => {
      await refused(await get(`/carts/${"x".repeat(65)}`), 400);
      await refused(await get("/carts/a%2Fb"), 400);
    });

    test("loses none of fifty changes made at once", async () => {
      await Promise.all(Array.from({ length: 50 }, (_, n) => add("c6", n % 2 ? "KIT-101-20" : "KIT-101-24")));
      const items = (await cartOf("c6")).items.toSorted((a, b) => a.sku.localeCompare(b.sku));
      assert.deepEqual(items, [
        { sku: "KIT-101-20", quantity: 25 },
        { sku: "KIT-101-24", quantity: 25 },
      ]);
    });
  });

  describe("checkout", () => {
    test("answers 201 with the order, and empties the cart", async () => {
      await add("o1", "KIT-101-20", 2);
      await add("o1", "TAB-101-MOS", 3);
      const reply = await checkout("o1");
      assert.equal(reply.status, 201, await reply.clone().text());
      const order = (await reply.json()) as Order;
      assert.equal(order.id, "o1-1");
      assert.equal(order.totalCents, 2 * 4900 + 3 * 2200);
      assert.deepEqual(
        order.lines.map(({ sku, quantity, priceCents }) => [sku, quantity, priceCents]),
        [
          ["KIT-101-20", 2, 4900],
          ["TAB-101-MOS", 3, 2200],
        ],
      );
      assert.deepEqual((await cartOf("o1")).items, []);
      await refused(await checkout("o1"), 409);

      await add("o1", "KIT-101-24");
      assert.equal(((await (await checkout("o1")).json()) as Order).id, "o1-2");
    });

    test("refuses an empty cart, a card that is none, and bodies that are no such object", async () => {
      await refused(await checkout("nothing-in-it"), 409);
      await add("o2", "KIT-101-20");
      for (const body of ["", "{", "[]", "{}", '{"card":4929}', '{"card":"my card"}', '{"card":""}'])
        await refused(await send("POST", "/carts/o2/checkout", body), 400);
      assert.equal((await cartOf("o2")).items.length, 1);
    });

    test("gives the stock back when the card is declined, and keeps the cart", async () => {
      const sku = productWith((pieces) => pieces === 1);
      await add("o3", sku);
      await refused(await checkout("o3", declinedCard), 402);
      assert.deepEqual((await cartOf("o3")).items, [{ sku, quantity: 1 }]);
      assert.equal(await left(sku), 1);
      assert.equal((await checkout("o3")).status, 201);
      assert.equal(await left(sku), 0);
    });

    test("refuses what is not in stock, and gives back what was reserved before it came to that", async () => {
      const plenty = productWith((pieces) => pieces > 10);
      const none = productWith((pieces) => pieces === 0);
      await add("o4", plenty, 2);
      await add("o4", none, 1);
      await refused(await checkout("o4"), 409);
      assert.equal(await left(plenty), stock[plenty as keyof typeof stock]);
      assert.equal((await cartOf("o4")).items.length, 2);
    });

    test("sells the last piece once", async () => {
      const sku = productWith((pieces) => pieces === 1);
      const carts = Array.from({ length: 8 }, (_, n) => `last-${n}`);
      await Promise.all(carts.map((cart) => add(cart, sku)));
      const replies = await Promise.all(carts.map((cart) => checkout(cart)));
      const statuses = replies.map((reply) => reply.status).toSorted();
      assert.deepEqual(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
      assert.equal(await left(sku), 0);
    });

    test("lets one of two win who want the last of two things in different order", async () => {
      const [a, b] = [productWith((pieces) => pieces === 1), productWith((pieces) => pieces === 1)];
      await add("x1", a);
      await add("x1", b);
      await add("x2", b);
      await add("x2", a);
      const statuses = (await Promise.all([checkout("x1"), checkout("x2")])).map((reply) => reply.status);
      assert.deepEqual(statuses.toSorted(), [201, 409]);
    });

    test("charges once for a cart that is checked out eight times at once", async () => {
      const sku = productWith((pieces) => pieces > 20);
      await add("twice", sku, 2);
      const replies = await Promise.all(Array.from({ length: 8 }, () => checkout("twice")));
      assert.deepEqual(replies.map((reply) => reply.status).toSorted(), [201, 409, 409, 409, 409, 409, 409, 409]);
      assert.equal(await left(sku), stock[sku as keyof typeof stock] - 2);
    });

    test("keeps what is added while it runs", async () => {
      const sku = productWith((pieces) => pieces > 20);
      await add("busy", sku, 1);
      const [reply] = await Promise.all([checkout("busy"), ...Array.from({ length: 5 }, () => add("busy", sku))]);
      const order = (await reply.json()) as Order;
      const kept = (await cartOf("busy")).items[0]?.quantity ?? 0;
      assert.equal(order.lines[0]!.quantity + kept, 6);
    });

    test("sells or gives back when the customer goes away in the middle", async () => {
      const sku = productWith((pieces) => pieces > 40);
      const attempts = 30;
      await Promise.all(
        Array.from({ length: attempts }, async (_, n) => {
          await add(`gone-${n}`, sku);
          const leaves = AbortSignal.timeout(1 + n);
          await send("POST", `/carts/gone-${n}/checkout`, { card: goodCard }, leaves).catch(() => undefined);
        }),
      );
      // Whoever comes back later completes the purchase: nothing is stuck, nobody pays twice.
      for (let n = 0; n < attempts; n += 1) {
        let status = 0;
        while (status !== 201) {
          status = (await checkout(`gone-${n}`)).status;
          if (status === 409 && (await cartOf(`gone-${n}`)).items.length === 0) break;
        }
        assert.equal((await cartOf(`gone-${n}`)).orders, 1);
      }
      assert.equal(await left(sku), stock[sku as keyof typeof stock] - attempts);
    });
  });

  describe("the platform round it", () => {
    test("lets nobody reach a service without a route", async () => {
      await refused(await send("POST", "/reserve", { lines: [] }), 404);
      await refused(await send("POST", "/charges", {}), 404);
      await refused(await send("POST", "/carts/c1/ordered", { lines: [] }), 404);
    });

    test("refuses a method that a path does not take", async () => {
      const reply = await send("PUT", "/carts/c1/items", {});
      assert.match(reply.headers.get("allow") ?? "", /POST/);
      await refused(reply, 405);
    });

    test("keeps carts, orders and stock over a restart", async () => {
      const sku = productWith((pieces) => pieces > 5);
      await add("stays", sku, 2);
      await add("sold", sku, 1);
      assert.equal((await checkout("sold")).status, 201);
      shop.signal("SIGTERM");
      assert.equal(await shop.exited, 0, shop.output());
      shop = await start();
      assert.deepEqual((await cartOf("stays")).items, [{ sku, quantity: 2 }]);
      assert.equal((await cartOf("sold")).orders, 1);
      assert.equal(await left(sku), stock[sku as keyof typeof stock] - 1);
    });

    test("loses no acknowledged change when it is killed while writing", async () => {
      const acknowledged = new Map<string, number>();
      const attempted = new Map<string, number>();
      const killed = Promise.withResolvers<void>();
      let total = 0;
      const shopper = async (cart: string) => {
        for (;;) {
          attempted.set(cart, (attempted.get(cart) ?? 0) + 1);
          const reply = await send("POST", `/carts/${cart}/items`, { sku: "KIT-101-20", quantity: 1 }).catch(
            () => undefined,
          );
          if (reply?.status !== 200) return;
          acknowledged.set(cart, (acknowledged.get(cart) ?? 0) + 1);
          total += 1;
          if (total === 200) {
            shop.signal("SIGKILL");
            killed.resolve();
          }
        }
      };
      const shoppers = Array.from({ length: 8 }, (_, n) => shopper(`kill-${n}`));
      await killed.promise;
      await Promise.all(shoppers);
      await shop.exited;
      shop = await start();
      for (const [cart, count] of acknowledged) {
        const held = (await cartOf(cart)).items[0]?.quantity ?? 0;
        assert.ok(held >= count && held <= attempted.get(cart)!, `${cart} holds ${held} of ${count} acknowledged`);
      }
    });

    test("charged every order once, and never wrote a card's number down", async () => {
      shop.signal("SIGTERM");
      assert.equal(await shop.exited, 0, shop.output());
      const written: Buffer[] = [];
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isFile() && /\.cyto[\\/](data|logs)/.test(path)) written.push(await readFile(path));
      }
      const all = Buffer.concat(written);
      for (const number of [goodCard, goodCard.replaceAll(" ", ""), declinedCard])
        assert.equal(all.indexOf(number), -1);

      const charged = [...all.toString("latin1").matchAll(/"charged ([\w-]+)/g)].map(([, order]) => order!);
      assert.equal(new Set(charged).size, charged.length, "an order was charged twice");
      // Eight at least; how many more depends on where in the middle customers went away.
      assert.ok(ordered.length >= 8, `${ordered.length} orders`);
      for (const order of ordered) assert.ok(charged.includes(order), `${order} was not charged`);
    });
  });
});

interface Cart {
  readonly id: string;
  readonly items: readonly { readonly sku: string; readonly quantity: number }[];
  readonly orders: number;
}

interface Order {
  readonly id: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly priceCents: number }[];
  readonly totalCents: number;
}

interface Page {
  readonly total: number;
  readonly page: number;
  readonly pages: number;
  readonly products: readonly { readonly sku: string; readonly name: string }[];
}
