/**
 * The manifest's JSON Schema (2020-12). Editors complete from it, the platform validates with it,
 * and `docs/manifest.schema.json` is its printed form (a test proves that they are equal).
 *
 * No `anyOf`: where a value may be of two types, `type` lists both and the other keywords apply to
 * the type that they speak of. So every fault yields exactly one error, at the value at fault.
 * `patternErrorMessage` is what editors and the platform say when a pattern does not match.
 */
import { limits as defaults, type Limits } from "../../kernel/index.ts";
import { durationPattern, sizePattern } from "./quantity.ts";

export interface Schema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

const serviceName: Schema = {
  pattern: "^[a-z][a-z0-9-]{0,62}$",
  patternErrorMessage: "expected lower-case letters, digits and hyphens, beginning with a letter, at most 63",
};
const word: Schema = {
  pattern: "^[A-Za-z_][A-Za-z0-9_.-]{0,127}$",
  patternErrorMessage: "expected letters, digits, dots, hyphens and underscores, beginning with a letter",
};

const duration = (description: string, written?: string): Schema => ({
  type: "string",
  description,
  pattern: durationPattern,
  patternErrorMessage: "expected a duration such as 500ms, 2s or 1m",
  ...(written !== undefined && { default: written }),
  examples: ["500ms", "2s", "1m"],
});

const plainValue: Schema = { type: ["string", "number", "boolean"] };
const serviceRef: Schema = { $ref: "#/$defs/service" };

const route: Schema = {
  description: "`METHOD /path` as one text, or a map when host, query, headers or priority matter too.",
  type: ["string", "object"],
  properties: {
    match: {
      type: "string",
      description:
        "`GET /products/{sku}`. Several methods: `GET|HEAD /x`; any method: `/x`. `{name}` takes one segment; a last `{name...}` or `*` takes the rest.",
      examples: ["GET /products/{sku}"],
    },
    host: {
      type: "string",
      description: "The request's host must be this one; `*.example.com` stands for one label or more.",
      examples: ["api.example.com"],
    },
    query: {
      type: "object",
      description: "Query parameters that must be there: an exact value, or `true` for any.",
      additionalProperties: plainValue,
    },
    headers: {
      type: "object",
      description: "Header fields that must be there: an exact value, or `true` for any.",
      propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", patternErrorMessage: "expected a header name" },
      additionalProperties: plainValue,
    },
    priority: {
      type: "integer",
      minimum: -1000,
      maximum: 1000,
      default: 0,
      description: "The higher wins where two routes match the same request.",
    },
  },
  required: ["match"],
  additionalProperties: false,
  examples: ["GET /products", "GET /products/{sku}"],
};

const binding: Schema = {
  type: "object",
  description: "One capability and the provider behind it.",
  properties: {
    keyvalue: {
      type: "string",
      description:
        "Bytes under a key. `sqlite`: a file of this machine, survives a crash. `memory`: gone when the process ends. `redis://host:port`: shared between machines.",
      examples: ["sqlite", "memory", "redis://127.0.0.1:6379"],
    },
    namespace: {
      type: "string",
      description:
        "Services that name the same one share their keys. Otherwise nobody sees them: `<app>/<service>/<binding>`.",
      pattern: "^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$",
      patternErrorMessage: "expected letters, digits, dots, slashes, hyphens and underscores, at most 128",
    },
  },
  required: ["keyvalue"],
  additionalProperties: false,
  examples: [{ keyvalue: "sqlite" }],
};

const bindings: Schema = {
  type: "object",
  description: 'Capabilities by the name that the code uses: `keyvalue("products")` needs `products`.',
  propertyNames: word,
  additionalProperties: binding,
  examples: [{ products: { keyvalue: "sqlite" } }],
};

const policy: Schema = {
  type: "object",
  description: "How calls to the service are made. What is not said has a safe default.",
  properties: {
    timeout: duration("How long one request may take, retries included.", "30s"),
    retry: {
      type: "object",
      description: "Trying again when a call failed in a way that allows it.",
      properties: {
        attempts: {
          type: "integer",
          minimum: 1,
          maximum: 10,
          description: "How often a call is made at most, the first time included.",
        },
      },
      required: ["attempts"],
      additionalProperties: false,
    },
  },
  additionalProperties: false,
};

const instances: Schema = {
  type: "object",
  description: "How instances come and go. How many there may be is said under limits.",
  properties: {
    policy: {
      type: "string",
      enum: ["warm", "fresh", "pinned"],
      default: "warm",
      description:
        "`warm`: an instance takes calls until it is worn. `fresh`: every request meets an instance that nobody has used. `pinned`: one instance that lives, started again after a trap.",
    },
    requests: {
      type: "integer",
      minimum: 1,
      default: 100_000,
      description: "Calls after which a warm instance is replaced; each draws its own number, from half of this on.",
    },
    age: duration("The age at which a warm instance is replaced; each draws its own, from half of this on.", "1h"),
    idle: duration("How long an instance stays that nobody calls; the last one goes too.", "60s"),
    ready: {
      type: "integer",
      minimum: 0,
      maximum: 4096,
      description: "Empty instances made ahead for the next requests, as long as there are any: 0, with fresh 2.",
    },
  },
  additionalProperties: false,
  examples: [{ policy: "fresh" }],
};

type Unit = "count" | "bytes" | "ms";
interface LimitText {
  readonly unit: Unit;
  /** Whether it may be said of one service, or only of the app, whose front door it bounds. */
  readonly scope: "service" | "app";
  readonly description: string;
  readonly maximum?: number;
}

const limitTexts: Readonly<Record<keyof Limits, LimitText>> = {
  bodyBytes: { unit: "bytes", scope: "service", description: "The longest request body, and reply gathered whole." },
  headerBytes: { unit: "bytes", scope: "app", description: "The longest request header, all fields together." },
  timeoutMs: { unit: "ms", scope: "service", description: "How long one request may take when no policy says." },
  headerTimeoutMs: { unit: "ms", scope: "app", description: "How long a client may take to send its header." },
  idleTimeoutMs: { unit: "ms", scope: "app", description: "How long a client may pause while it sends a body." },
  hops: { unit: "count", scope: "app", description: "Services that one request may pass through.", maximum: 64 },
  shards: { unit: "count", scope: "app", description: "Threads that serve: one a core, up to this.", maximum: 1024 },
  instances: { unit: "count", scope: "service", description: "Instances of a service on one shard.", maximum: 4096 },
  concurrency: { unit: "count", scope: "service", description: "Calls inside one instance at a time.", maximum: 65536 },
  queue: { unit: "count", scope: "service", description: "Calls that wait for one on a shard.", maximum: 1_000_000 },
  memoryBytes: { unit: "bytes", scope: "service", description: "Linear memory of one instance.", maximum: 2 ** 32 },
  cpuMs: { unit: "ms", scope: "service", description: "How long one call may compute: with it used up, it is ended." },
  sockets: { unit: "count", scope: "service", description: "Sockets of one instance at a time.", maximum: 65536 },
  keyBytes: { unit: "bytes", scope: "service", description: "The longest key of a keyvalue binding." },
  valueBytes: { unit: "bytes", scope: "service", description: "The longest value of a keyvalue binding." },
};

/** Which unit a limit is in. */
export function limitUnit(name: keyof Limits): Unit {
  return limitTexts[name].unit;
}

function limit(name: keyof Limits): Schema {
  const { unit, description, maximum } = limitTexts[name];
  const common = {
    description,
    minimum: name === "queue" ? 0 : 1,
    ...(maximum !== undefined && { maximum }),
    default: defaults[name],
  };
  switch (unit) {
    case "count":
      return { type: "integer", ...common };
    case "bytes":
      return {
        type: ["integer", "string"],
        ...common,
        pattern: sizePattern,
        patternErrorMessage: "expected a size such as 64KiB or 10MB",
        examples: ["64KiB", "10MB"],
      };
    case "ms":
      return {
        type: ["integer", "string"],
        ...common,
        pattern: durationPattern,
        patternErrorMessage: "expected a duration such as 500ms, 2s or 1m",
        examples: ["500ms", "2s"],
      };
  }
}

function limitsOf(scope: "service" | "app"): Schema {
  const names = (Object.keys(limitTexts) as (keyof Limits)[]).filter(
    (name) => scope === "app" || limitTexts[name].scope === "service",
  );
  return {
    type: "object",
    description: scope === "app" ? "Bounds for every service of the app." : "Bounds for this service.",
    properties: Object.fromEntries(names.map((name) => [name, limit(name)])),
    additionalProperties: false,
  };
}

const service: Schema = {
  type: "object",
  description: "A component deployed under this name: built from `source`, or given as `component`.",
  properties: {
    source: {
      type: "string",
      minLength: 1,
      description: "The TypeScript or JavaScript module to build, relative to the manifest.",
      examples: ["catalog/service.ts"],
    },
    component: {
      type: "string",
      minLength: 1,
      description: "A built WebAssembly component, relative to the manifest, in place of `source`.",
      examples: ["catalog.wasm"],
    },
    engine: {
      type: "string",
      enum: ["quickjs", "starlingmonkey"],
      default: "quickjs",
      description: "The JavaScript engine inside the component: small and quick to start, or with every web API.",
    },
    routes: {
      type: "array",
      description: "Requests from outside that reach this service. Without one it is reached by other services only.",
      items: route,
      default: [],
    },
    bindings,
    config: {
      type: "object",
      description: "Settings that the code reads by name. Secrets do not belong here.",
      propertyNames: word,
      additionalProperties: plainValue,
    },
    secrets: {
      type: "array",
      description: "Names of secrets that the code may read; `cyto secret set NAME` stores one.",
      items: { type: "string", ...word },
      uniqueItems: true,
      examples: [["PAYMENT_KEY"]],
      default: [],
    },
    egress: {
      type: "array",
      description:
        "Hosts outside that the code may reach: `api.example.com`, `*.example.com`, `127.0.0.1:9000` by HTTP; `tcp://db.internal:5432`, `udp://10.0.0.0/8:53` by sockets.",
      items: { type: "string" },
      uniqueItems: true,
      examples: [["api.example.com"], ["tcp://db.internal:5432"]],
      default: [],
    },
    listen: {
      type: "array",
      description:
        "Addresses that the code's own sockets may be reached at: `tcp://0.0.0.0:5000`, `udp://127.0.0.1:53`.",
      items: { type: "string" },
      uniqueItems: true,
      examples: [["tcp://0.0.0.0:5000"]],
      default: [],
    },
    calls: {
      type: "array",
      description: "Services of this app that the code may call; nothing else can be reached.",
      items: { type: "string" },
      uniqueItems: true,
      examples: [["inventory", "payments"]],
      default: [],
    },
    directories: {
      type: "object",
      description: "Host directories by the path that the component sees them under.",
      propertyNames: { pattern: "^/", patternErrorMessage: "expected an absolute path such as /data" },
      additionalProperties: {
        type: ["string", "object"],
        properties: {
          host: { type: "string", minLength: 1, description: "The directory, relative to the manifest." },
          readOnly: { type: "boolean", default: true, description: "Whether the component may only read it." },
        },
        required: ["host"],
        additionalProperties: false,
      },
      examples: [{ "/data": "./data" }],
    },
    environment: {
      type: "object",
      description: "Environment variables, for components that read `wasi:cli/environment`.",
      propertyNames: {
        pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
        patternErrorMessage: "expected letters, digits and underscores",
      },
      additionalProperties: plainValue,
    },
    policy,
    limits: limitsOf("service"),
    instances,
  },
  additionalProperties: false,
};

export const manifestSchema: Schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "https://cytoplane.dev/manifest.schema.json",
  title: "Cytoplane manifest (cyto.yaml)",
  description: "What an app is made of: services, routes, bindings, calls, policy, environments.",
  type: "object",
  properties: {
    app: { type: "string", description: "The app's name.", ...serviceName, examples: ["shop"] },
    services: {
      type: "object",
      description: "The app's services by name.",
      propertyNames: serviceName,
      additionalProperties: serviceRef,
      minProperties: 1,
    },
    policy: { ...policy, description: "Policy of every service that says nothing else." },
    limits: limitsOf("app"),
    instances: { ...instances, description: "How the instances of every service come and go that says nothing else." },
    environments: {
      type: "object",
      description: "What differs in an environment (`--env production`); laid over the rest, map by map.",
      propertyNames: serviceName,
      additionalProperties: {
        type: "object",
        properties: {
          bindings: {
            ...bindings,
            description: "Bindings by name; each applies to every service that has a binding of that name.",
          },
          services: { type: "object", description: "Services by name.", additionalProperties: serviceRef },
          policy,
          limits: limitsOf("app"),
          instances,
        },
        additionalProperties: false,
      },
      examples: [{ production: { bindings: { products: { keyvalue: "redis://cache:6379" } } } }],
    },
  },
  required: ["app", "services"],
  additionalProperties: false,
  $defs: { service },
};
