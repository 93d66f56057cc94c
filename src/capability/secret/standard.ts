/** The stores of secrets that ship. */
import { createSecretFile } from "./file.ts";
import { createSecretMemory } from "./memory.ts";

export const secretStores = {
  // The default: encrypted, on one machine, with nothing to install.
  file: createSecretFile,
  // For tests.
  memory: createSecretMemory,
} as const;
