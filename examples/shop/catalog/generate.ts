/**
 * Writes what the shop starts with from its assortment: `node generate.ts`.
 *
 * catalog/products.json is what is offered, inventory/stock.json what lay on the shelves on opening day. The same
 * assortment always gives the same files: stock comes from a hash of the sku, not from chance.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { assortment, type Department, type Item } from "./assortment.ts";

const products = assortment.flatMap((department) =>
  department.items.flatMap((item, index) => rows(department, item, index)),
);

const seen = new Set(products.map((product) => product.sku));
if (seen.size !== products.length) throw new Error("Cannot write the catalogue: two products share a sku");

const offered = products.map((product) => `  ${JSON.stringify(product)}`).join(",\n");
writeFileSync(new URL("products.json", import.meta.url), `[\n${offered}\n]\n`);

const shelves = Object.fromEntries(products.map(({ sku, priceCents }) => [sku, stock(sku, priceCents)]));
writeFileSync(new URL("../inventory/stock.json", import.meta.url), `${JSON.stringify(shelves, null, 2)}\n`);
console.log(`${products.length} products in ${assortment.length} categories`);

function rows(department: Department, item: Item, index: number) {
  const [name, priceCents, weightGrams, description, tags, options] = item;
  return options.map((option) => {
    const sku = `${department.prefix}-${101 + index}-${option.code}`;
    return {
      sku,
      name: `${name}, ${option.name}`,
      description: `${description} ${option.note}`,
      maker: department.makers[index % department.makers.length]!,
      category: department.category,
      tags,
      priceCents: shelfPrice(priceCents * (option.price ?? 1)),
      currency: "EUR",
      weightGrams: Math.round((weightGrams * (option.price ?? 1)) / 5) * 5 || 5,
    };
  });
}

/** The way prices are written on a shelf: whole 10 cents up to 20 euros, whole euros above. */
function shelfPrice(cents: number): number {
  const step = cents < 2000 ? 10 : 100;
  return Math.round(cents / step) * step;
}

/** A few are sold out or down to the last pieces; what is cheap is kept in larger numbers. */
function stock(sku: string, priceCents: number): number {
  const [kind = 0, amount = 0] = createHash("sha256").update(sku).digest();
  if (kind < 8) return 0;
  if (kind < 28) return 1 + (amount % 3);
  return 4 + (amount % (priceCents < 1500 ? 240 : priceCents < 6000 ? 80 : 24));
}
