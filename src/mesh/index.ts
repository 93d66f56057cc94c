export type { CallPolicy, MeshParts } from "./contract.ts";
export { createMesh } from "./mesh.ts";
