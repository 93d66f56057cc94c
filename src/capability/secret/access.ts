/**
 * One service's view of the secrets: those that its manifest lists, and a redactor that takes the
 * values it was given out of its log lines again.
 */
import { CytoError, nearest } from "../../kernel/index.ts";
import type { Secrets } from "./contract.ts";

export interface SecretAccessOptions {
  readonly service: string;
  /** The manifest's `secrets`. */
  readonly declared: readonly string[];
  readonly secrets: Secrets;
}

export interface SecretAccess extends Secrets {
  redact(text: string): string;
}

/** Shorter values would take ordinary words out of the log. */
const redactedLength = 6;

export function createSecretAccess({ service, declared, secrets }: SecretAccessOptions): SecretAccess {
  const permitted = new Set(declared);
  const given = new Map<string, string>();
  return {
    async get(name) {
      if (!permitted.has(name)) throw notPermitted(service, name, declared);
      const value = await secrets.get(name);
      if (value.length >= redactedLength) given.set(value, `[secret ${name}]`);
      return value;
    },
    redact(text) {
      let redacted = text;
      for (const [value, mark] of given) redacted = redacted.replaceAll(value, () => mark);
      return redacted;
    },
  };
}

function notPermitted(service: string, name: string, declared: readonly string[]): CytoError {
  const meant = nearest(name, declared);
  const add = `Add "${name}" to services.${service}.secrets in the manifest.`;
  return new CytoError("not-permitted", `Cannot read secret ${name}: it is not in the secrets of service ${service}`, {
    hint: meant === undefined ? add : `Did you mean "${meant}"? Else: ${add}`,
  });
}
