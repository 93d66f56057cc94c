import { secretConformance } from "./conformance.ts";
import { createSecretMemory } from "./memory.ts";

secretConformance({ name: "memory", create: async (_t, clock) => createSecretMemory({ clock }) });
