export { openAdmin } from "./admin.ts";
export { type Conflict, findConflicts } from "./conflict.ts";
export type { Access, Admin, AdminParts, Gateway, GatewayOptions, GatewayParts, Route } from "./contract.ts";
export { createGateway, gatewayDefaults } from "./gateway.ts";
export { parsePattern } from "./pattern.ts";
export { canSharePorts, requireFreePort } from "./port.ts";
export { createRouter } from "./router.ts";
