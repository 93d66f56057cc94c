/**
 * A service's declaration made real: everything that its instances may reach, opened once for a
 * version of the service and closed when that version has drained.
 *
 * This is where deny by default is decided: what the declaration does not name is not in here.
 * Providers share files and connections between bindings, so that a version that is replaced hands
 * them on to its successor without closing them.
 */
import { createInvoke } from "../capability/invoke/invoke.ts";
import type { KeyValueProvider } from "../capability/keyvalue/contract.ts";
import { createLogging } from "../capability/logging/logging.ts";
import { createOutgoing } from "../capability/outgoing/outgoing.ts";
import { createSecretAccess } from "../capability/secret/access.ts";
import type { Secrets } from "../capability/secret/contract.ts";
import { createSocketAccess } from "../capability/sockets/sockets.ts";
import type { Grants, KeyValueBucket, Metering } from "../component/index.ts";
import { type Clock, CytoError, limits as defaults, type Random, type Service } from "../kernel/index.ts";
import type { CellRecord } from "./contract.ts";
import type { BindingDeclaration, ServiceDeclaration } from "./manifest/contract.ts";

/** What the services of a shard share. */
export interface GrantParts {
  readonly keyvalue: Readonly<Record<string, KeyValueProvider>>;
  readonly secrets: Secrets;
  /** The mesh's entrance. */
  readonly mesh: Service;
  readonly sink: (record: CellRecord) => void;
  /** Where embedded providers keep their files. */
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Interrupts the guests of this thread. */
  readonly metering: Metering;
}

export interface OpenGrants extends AsyncDisposable {
  readonly grants: Grants;
  /** Takes the secrets that the service was given out of a text. */
  redact(text: string): string;
}

/**
 * `config` is the declaration's, with what the process's environment overrides; `symbolise` names the
 * author's files in a stack.
 */
export async function openGrants(
  declaration: ServiceDeclaration,
  config: Readonly<Record<string, string>>,
  symbolise: (stack: string) => string,
  parts: GrantParts,
): Promise<OpenGrants> {
  const { name: service, calls, egress, listen } = declaration;
  const { clock, random, mesh, sink } = parts;
  const { timeoutMs, headerBytes, sockets } = { ...defaults, ...declaration.limits };
  await using opened = new AsyncDisposableStack();

  const keyvalue = await openBindings(declaration, parts, opened);
  const secrets = createSecretAccess({ service, declared: declaration.secrets, secrets: parts.secrets });
  const invoke = createInvoke({ service, calls, mesh, clock, random, timeoutMs });
  const outgoing = createOutgoing({
    service,
    allow: egress,
    clock,
    limits: { timeoutMs, headerBytes },
  });
  opened.use(outgoing);

  const grants: Grants = {
    service,
    clock,
    random,
    keyvalue,
    config,
    secret: (name) => secrets.get(name),
    fetch(request, parent) {
      const inside = serviceNamedBy(request.url);
      return inside === undefined ? outgoing.fetch(request, parent) : invoke(inside, request, parent);
    },
    invoke,
    log: createLogging({
      service,
      clock,
      sink,
      reword: (text) => secrets.redact(hasFrame(text) ? symbolise(text) : text),
    }),
    sockets: createSocketAccess({ service, egress, listen, sockets }),
    directories: declaration.directories,
    environment: Object.entries(declaration.environment),
    args: [service],
  };
  const closing = opened.move();
  return { grants, redact: secrets.redact, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

/** Most lines are no stack, and cost no look-up. */
function hasFrame(text: string): boolean {
  return /\.js:\d+:\d/.test(text);
}

/** `http://<service>.internal/…` is a service of the app: how components without our SDK call one. */
function serviceNamedBy(url: string): string | undefined {
  return /^http:\/\/([^/?#:@]+)\.internal(?::80)?(?=[/?#]|$)/i.exec(url)?.[1]?.toLowerCase();
}

async function openBindings(
  { name: service, bindings, limits }: ServiceDeclaration,
  { keyvalue, dataDirectory }: GrantParts,
  opened: AsyncDisposableStack,
): Promise<Readonly<Record<string, KeyValueBucket>>> {
  const buckets = await Promise.all(
    Object.entries(bindings).map(async ([binding, { provider, options, namespace }]) => {
      try {
        const bucket = await providerOf(keyvalue, provider).open({ namespace, dataDirectory, options, limits });
        opened.use(bucket);
        return [binding, bucket] as const;
      } catch (thrown) {
        throw atBinding(service, binding, thrown);
      }
    }),
  );
  return Object.fromEntries(buckets);
}

function providerOf(providers: GrantParts["keyvalue"], name: BindingDeclaration["provider"]): KeyValueProvider {
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (provider !== undefined) return provider;
  throw new CytoError("invalid-manifest", `no keyvalue provider is named "${name}"`, {
    hint: `There are ${Object.keys(providers).join(", ")}.`,
  });
}

function atBinding(service: string, binding: string, thrown: unknown): unknown {
  if (!(thrown instanceof CytoError)) return thrown;
  const { code, message, hint } = thrown;
  return new CytoError(code, `Cannot open services.${service}.bindings.${binding}: ${message}`, {
    cause: thrown,
    ...(hint !== undefined && { hint }),
  });
}
