/**
 * wasi:sockets, which standard libraries import whether a program uses them or not: everything
 * links, and every attempt answers `access-denied`. The way out of a service is wasi:http.
 */
class Network {}
class TcpSocket {}
class UdpSocket {}
class IncomingDatagramStream {}
class OutgoingDatagramStream {}
class ResolveAddressStream {}

function denied(): never {
  throw "access-denied";
}

const options = ["receiveBufferSize", "setReceiveBufferSize", "sendBufferSize", "setSendBufferSize"];
const names = ["startBind", "finishBind", "localAddress", "remoteAddress", "addressFamily", "subscribe", ...options];
refuse(TcpSocket, [
  ...names,
  ...["startConnect", "finishConnect", "startListen", "finishListen", "accept", "isListening", "setListenBacklogSize"],
  ...["keepAliveEnabled", "setKeepAliveEnabled", "keepAliveIdleTime", "setKeepAliveIdleTime", "keepAliveInterval"],
  ...["setKeepAliveInterval", "keepAliveCount", "setKeepAliveCount", "hopLimit", "setHopLimit", "shutdown"],
]);
refuse(UdpSocket, [...names, "stream", "unicastHopLimit", "setUnicastHopLimit"]);
refuse(IncomingDatagramStream, ["receive", "subscribe"]);
refuse(OutgoingDatagramStream, ["checkSend", "send", "subscribe"]);
refuse(ResolveAddressStream, ["resolveNextAddress", "subscribe"]);

/** No object of these classes is ever made; the methods are there to be linked. */
function refuse(resource: { readonly prototype: object }, methods: readonly string[]): void {
  for (const method of methods) Object.defineProperty(resource.prototype, method, { value: denied });
}

export const sockets = {
  "wasi:sockets/network": { Network, networkErrorCode: () => undefined },
  "wasi:sockets/instance-network": { instanceNetwork: () => new Network() },
  "wasi:sockets/tcp": { TcpSocket },
  "wasi:sockets/tcp-create-socket": { createTcpSocket: denied },
  "wasi:sockets/udp": { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream },
  "wasi:sockets/udp-create-socket": { createUdpSocket: denied },
  "wasi:sockets/ip-name-lookup": { ResolveAddressStream, resolveAddresses: denied },
};
