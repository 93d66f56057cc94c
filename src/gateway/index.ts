export { type Conflict, findConflicts } from "./conflict.ts";
export type { Access, Gateway, GatewayOptions, GatewayParts, Route } from "./contract.ts";
export { createGateway, gatewayDefaults } from "./gateway.ts";
export { parsePattern } from "./pattern.ts";
