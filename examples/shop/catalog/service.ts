/** What the shop offers. The data is part of the service: a new catalogue is a new version of it. */
import { problem } from "../problem.ts";
import type { Product } from "./product.ts";
import data from "./products.json" with { type: "json" };

const pageSize = 24;
const products: readonly Product[] = data;
const bySku = new Map(products.map((product) => [product.sku, product]));
const searched = products.map((product) => ({
  product,
  text: [product.name, product.description, product.maker, product.category, ...product.tags].join(" ").toLowerCase(),
}));

export default {
  fetch(request: Request): Response {
    const url = new URL(request.url);
    const sku = url.pathname.split("/")[2];
    if (!sku) return list(url.searchParams);
    const product = bySku.get(sku);
    return product ? Response.json(product) : problem(404, `There is no product ${sku}`);
  },
};

/** Products whose text has every word of the query, a page at a time. */
function list(search: URLSearchParams): Response {
  const query = search.get("query") ?? "";
  const page = search.get("page") ?? "1";
  if (!/^[1-9]\d{0,5}$/.test(page)) return problem(400, "The page must be a whole number from 1");

  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = searched.filter(({ text }) => words.every((word) => text.includes(word)));
  const start = (Number(page) - 1) * pageSize;
  return Response.json({
    query,
    page: Number(page),
    pages: Math.ceil(found.length / pageSize),
    total: found.length,
    products: found.slice(start, start + pageSize).map(({ product }) => product),
  });
}
