/// <reference path="./world.d.ts" preserve="true" />
/**
 * What the author of a service imports:
 *
 * ```ts
 * import { keyvalue } from "@cytoplane/sdk";
 * const products = keyvalue<Product>("products");
 * export default {
 *   async fetch(request) {
 *     const product = await products.get(new URL(request.url).pathname.slice(1));
 *     return product ? Response.json(product) : new Response(null, { status: 404 });
 *   },
 * } satisfies ServiceHandler;
 * ```
 *
 * @module
 */
import { config, keyvalue, secret, service } from "./bindings.ts";
import { BindingError } from "./contract.ts";

export type { Config, Context, DefaultEnv, KeyValue, ServiceClient, ServiceHandler } from "./contract.ts";
export { BindingError, config, keyvalue, secret, service };
