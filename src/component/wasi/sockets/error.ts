/**
 * What can go wrong with a socket, in the words of WASI. The codes are thrown as they are: they are
 * answers, not faults. 0.2 spells them as an enum and so passes them on; 0.3 has a variant.
 */
export type SocketCode =
  | "unknown"
  | "access-denied"
  | "not-supported"
  | "invalid-argument"
  | "out-of-memory"
  | "timeout"
  | "concurrency-conflict"
  | "not-in-progress"
  | "would-block"
  | "invalid-state"
  | "new-socket-limit"
  | "address-not-bindable"
  | "address-in-use"
  | "remote-unreachable"
  | "connection-refused"
  | "connection-broken"
  | "connection-reset"
  | "connection-aborted"
  | "datagram-too-large"
  | "name-unresolvable"
  | "temporary-resolver-failure"
  | "permanent-resolver-failure";

const codes: Readonly<Record<string, SocketCode>> = {
  EACCES: "access-denied",
  EPERM: "access-denied",
  EOPNOTSUPP: "not-supported",
  EPROTONOSUPPORT: "not-supported",
  EAFNOSUPPORT: "invalid-argument",
  EINVAL: "invalid-argument",
  EDESTADDRREQ: "invalid-argument",
  ENOMEM: "out-of-memory",
  ENOBUFS: "out-of-memory",
  EMFILE: "new-socket-limit",
  ENFILE: "new-socket-limit",
  ETIMEDOUT: "timeout",
  EADDRNOTAVAIL: "address-not-bindable",
  EADDRINUSE: "address-in-use",
  EHOSTUNREACH: "remote-unreachable",
  EHOSTDOWN: "remote-unreachable",
  ENETUNREACH: "remote-unreachable",
  ENETDOWN: "remote-unreachable",
  ENONET: "remote-unreachable",
  ECONNREFUSED: "connection-refused",
  EPIPE: "connection-broken",
  ERR_STREAM_WRITE_AFTER_END: "connection-broken",
  ERR_STREAM_DESTROYED: "connection-broken",
  ERR_SOCKET_CLOSED: "connection-broken",
  ECONNRESET: "connection-reset",
  ECONNABORTED: "connection-aborted",
  EMSGSIZE: "datagram-too-large",
  ENOTFOUND: "name-unresolvable",
  ENODATA: "name-unresolvable",
  EAI_AGAIN: "temporary-resolver-failure",
  EAI_FAIL: "permanent-resolver-failure",
};

export function toSocketCode(error: unknown): SocketCode {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return (code === undefined ? undefined : codes[code]) ?? "unknown";
}
