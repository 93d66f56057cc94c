/** Warm throughput of the shop's `GET /products/{sku}`: about half a kilobyte of JSON out of 562 products. */
import { comparison } from "./comparison.ts";
import { catalogSource, cytoUp, nodeHttp, shopApp, workerd } from "./contenders.ts";
import type { Bench } from "./contract.ts";
import { throughput } from "./rounds.ts";

export const product: Bench = {
  name: "product",
  title: "The shop's GET /products/{sku}, warm",
  async run(plan) {
    const contenders = [
      nodeHttp("node-product.ts"),
      workerd(catalogSource, plan.scratch),
      cytoUp(shopApp, plan.scratch),
    ];
    const measured = await throughput(
      contenders.map((contender) => ({ contender, path: "/products/KIT-101-20" })),
      plan,
    );
    const { goal, ...table } = comparison(measured, ["node:http", "workerd"]);
    return { ...table, goals: [goal("cyto up", 1, "workerd")] };
  },
};
