/** The secrets of an app: an encrypted file among its state; the key is in a file beside it, or in CYTO_SECRET_KEY. */
import { join } from "node:path";
import type { SecretStore } from "../capability/secret/contract.ts";
import { secretStores } from "../capability/secret/standard.ts";
import { type Clock, type Random, systemClock, systemRandom } from "../kernel/index.ts";

export interface SecretsPlace {
  /** `<project>/.cyto` */
  readonly stateDirectory: string;
  /** The process's environment. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  readonly random?: Random;
}

export function openSecrets(place: SecretsPlace): SecretStore {
  const { stateDirectory, variables, clock = systemClock, random = systemRandom } = place;
  const key = variables.CYTO_SECRET_KEY;
  return secretStores.file({
    path: join(stateDirectory, "secrets.json"),
    keyPath: join(stateDirectory, "secret.key"),
    ...(key !== undefined && key !== "" && { key }),
    clock,
    random,
  });
}
