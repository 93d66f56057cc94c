import { fileURLToPath } from "node:url";
import type { Toolchain } from "./contract.ts";

/** The SDK and the world that came with this platform. */
export const ownToolchain: Toolchain = {
  sdkDirectory: fileURLToPath(new URL("../../sdk", import.meta.url)),
  witPath: fileURLToPath(new URL("../../wit/service.wit", import.meta.url)),
};
