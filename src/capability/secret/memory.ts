/** Secrets in the memory of this process, for tests: gone with it. */
import type { Clock } from "../../kernel/index.ts";
import { missingSecret, refuseSecretName, refuseSecretValue } from "./bounds.ts";
import type { SecretStore } from "./contract.ts";

export function createSecretMemory({ clock }: { readonly clock: Clock }): SecretStore {
  const secrets = new Map<string, { readonly value: string; readonly updatedMs: number }>();
  return {
    async get(name) {
      const secret = secrets.get(name);
      if (secret === undefined) throw missingSecret(name);
      return secret.value;
    },
    async set(name, value) {
      refuseSecretName(name);
      refuseSecretValue(name, value);
      secrets.set(name, { value, updatedMs: clock.now() });
    },
    async list() {
      const entries = [...secrets].map(([name, { updatedMs }]) => ({ name, updatedMs }));
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async remove(name) {
      if (!secrets.delete(name)) throw missingSecret(name);
    },
  };
}
