/**
 * The configuration values of an app's services.
 *
 * One rule: a value is what the manifest says (with the overlay of its environment, and variables
 * that it names as `${NAME}` put in), unless the process has the environment variable
 * `CYTO_CONFIG_<SERVICE>_<KEY>`. Only declared keys can be set so, for a service reads what its manifest
 * shows and nothing else. In the name, letters are upper case and all else but digits is `_`.
 */
import { CytoError } from "../../kernel/index.ts";

/** Key to value, by service. */
export type Configuration = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface ResolvedConfig {
  readonly values: Configuration;
  /** Variables named like overrides that no declared key answers to: probably mistyped. */
  readonly unused: readonly string[];
}

export function resolveConfig(
  declared: Configuration,
  environmentVariables: Readonly<Record<string, string | undefined>>,
): ResolvedConfig {
  const keys = keysByVariable(declared);
  const values: Record<string, Record<string, string>> = {};
  for (const [service, config] of Object.entries(declared)) values[service] = { ...config };
  const unused: string[] = [];

  for (const [variable, value] of Object.entries(environmentVariables)) {
    if (value === undefined || !variable.startsWith(prefix)) continue;
    const [target, other] = keys.get(variable) ?? [];
    if (target === undefined) unused.push(variable);
    else if (other !== undefined) throw ambiguous(variable, target, other);
    else values[target.service] = { ...values[target.service], [target.key]: value };
  }
  return { values, unused };
}

/** The variable that sets a service's key. */
export function overrideVariable(service: string, key: string): string {
  return `${prefix}${upper(service)}_${upper(key)}`;
}

const prefix = "CYTO_CONFIG_";

interface Target {
  readonly service: string;
  readonly key: string;
}

function keysByVariable(declared: Configuration): Map<string, Target[]> {
  const keys = new Map<string, Target[]>();
  for (const [service, config] of Object.entries(declared)) {
    for (const key of Object.keys(config)) {
      const variable = overrideVariable(service, key);
      keys.set(variable, [...(keys.get(variable) ?? []), { service, key }]);
    }
  }
  return keys;
}

function upper(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
}

function ambiguous(variable: string, one: Target, other: Target): CytoError {
  const path = ({ service, key }: Target) => `services.${service}.config.${key}`;
  return new CytoError("invalid-manifest", `Cannot apply ${variable}: it means both ${path(one)} and ${path(other)}`, {
    hint: "Unset it, or rename one of the two keys.",
  });
}
