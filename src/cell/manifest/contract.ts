/**
 * A manifest after it was read, overlaid for an environment, validated and filled with defaults.
 * Everything below the cell works on this; nothing else reads YAML.
 */
import type { Limits } from "../../kernel/index.ts";

export interface App {
  readonly name: string;
  /** The environment it was read for; `local` when none was named. */
  readonly environment: string;
  /** The folder of the manifest; relative paths in it start here. */
  readonly directory: string;
  readonly services: Readonly<Record<string, ServiceDeclaration>>;
  readonly limits: Partial<Limits>;
}

export interface ServiceDeclaration {
  readonly name: string;
  /** Exactly one of `source` and `component` is set; absolute paths. */
  readonly source?: string;
  readonly component?: string;
  readonly engine: "quickjs" | "starlingmonkey";
  readonly routes: readonly RouteDeclaration[];
  /** By the name the service's code uses. */
  readonly bindings: Readonly<Record<string, BindingDeclaration>>;
  /** Configuration values, all as strings. */
  readonly config: Readonly<Record<string, string>>;
  /** Names of the secrets it may read. */
  readonly secrets: readonly string[];
  /** Hosts it may reach outside: `api.example.com`, `*.example.com`, `127.0.0.1:9000`, `tcp://db.internal:5432`. */
  readonly egress: readonly string[];
  /** Where its own sockets may be reached: `tcp://0.0.0.0:5000`. */
  readonly listen: readonly string[];
  /** Services it may call. */
  readonly calls: readonly string[];
  /** Host directories it may see, for components that use a file system. */
  readonly directories: readonly { readonly guest: string; readonly host: string; readonly readOnly: boolean }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly policy: PolicyDeclaration;
  readonly limits: Partial<Limits>;
  readonly instances: InstancesDeclaration;
}

export interface RouteDeclaration {
  /** As written: `GET /products/{sku}`. It names the route in metrics and logs. */
  readonly id: string;
  readonly methods: readonly string[];
  /** `/products/{sku}`, or with a last segment `{rest...}` or `*` that takes what is left. */
  readonly path: string;
  readonly host?: string;
  /** Name to exact value, or `true` for "present". */
  readonly query: Readonly<Record<string, string | true>>;
  readonly headers: Readonly<Record<string, string | true>>;
  /** The higher wins where two routes match; 0 unless said. */
  readonly priority: number;
}

export type BindingDeclaration = {
  readonly kind: "keyvalue";
  /** `memory`, `sqlite`, or `redis`. */
  readonly provider: string;
  /** What the provider needs: a URL, a path. */
  readonly options: Readonly<Record<string, string>>;
  /** Services that share a namespace name the same one; else it is `<app>/<service>/<binding>`. */
  readonly namespace: string;
};

export interface PolicyDeclaration {
  readonly timeoutMs?: number;
  readonly retry?: { readonly attempts: number };
}

/** How its instances come and go; what is absent has a default. */
export interface InstancesDeclaration {
  readonly policy?: "warm" | "fresh" | "pinned";
  readonly requests?: number;
  readonly ageMs?: number;
  readonly idleMs?: number;
  readonly ready?: number;
}

/** One thing wrong with a manifest, and where. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** How many characters it is about, for the caret; absent when only the start is known. */
  readonly length?: number;
  /** `services.checkout.calls[1]`. */
  readonly path: string;
  readonly message: string;
  /** What to do: what was expected, or the nearest right word. */
  readonly hint?: string;
}
