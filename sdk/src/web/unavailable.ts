/** Web APIs that a service cannot have here: each is there by name and says so when it is used. */

/** The way out, by API. */
const reasons = {
  WebSocket: "a service answers requests; for a long-lived connection answer with a streamed body (server-sent events)",
  EventSource: "read the body of fetch() as a stream",
  XMLHttpRequest: "use fetch()",
  Worker: "a service has one thread; put the work into a service of its own and call it with service(name).fetch()",
  SharedWorker:
    "a service has one thread; put the work into a service of its own and call it with service(name).fetch()",
  BroadcastChannel: "instances share nothing; keep what they share in a keyvalue binding",
  MessageChannel: "there is nothing to talk to inside one instance; use EventTarget",
  CompressionStream: "bundle a package such as fflate, or declare `engine: starlingmonkey`",
  DecompressionStream: "bundle a package such as fflate, or declare `engine: starlingmonkey`",
  HTMLRewriter: "bundle a parser such as htmlparser2",
  FileReader: "use the methods of Blob: text(), arrayBuffer(), stream()",
} as const;

export function unavailable(name: string, wayOut: string): DOMException {
  return new DOMException(`${name} is not available here: ${wayOut}`, "NotSupportedError");
}

/** Constructors that refuse, by global name. */
export function unavailableClasses(): Record<string, object> {
  const classes: Record<string, object> = {};
  for (const [name, wayOut] of Object.entries(reasons)) {
    const Refused = class {
      constructor() {
        throw unavailable(name, wayOut);
      }
    };
    classes[name] = Object.defineProperty(Refused, "name", { value: name });
  }
  return classes;
}

const refuseCache = () => Promise.reject(unavailable("caches", "keep what should last in a keyvalue binding"));

export const caches = {
  open: refuseCache,
  match: refuseCache,
  has: refuseCache,
  delete: refuseCache,
  keys: refuseCache,
};
