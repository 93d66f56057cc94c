/**
 * What operators and their tools ask, on a port of its own so that no route can shadow it and no
 * public listener shows it: `GET /healthz` (the process lives), `/readyz` (it wants traffic), `/metrics`.
 */
import { createServer, type Server, type ServerResponse } from "node:http";
import { CytoError, type Headers, toCytoError } from "../kernel/index.ts";
import type { Admin, AdminParts } from "./contract.ts";
import { drain, trackSockets } from "./drain.ts";
import { createIdentify, type Identify } from "./identity.ts";
import { listen } from "./listener.ts";
import { toProblem, type WholeReply } from "./problem.ts";
import { identityOf } from "./request.ts";

/** Answers once it settles. Throws `cannot-listen`. */
export async function openAdmin(parts: AdminParts): Promise<Admin> {
  const server = createAdmin(parts, createIdentify(parts.random));
  const sockets = trackSockets(server);
  const address = await listen(server, { host: parts.host, port: parts.port }, "admin port");
  return { address, close: () => drain(server, sockets, parts.clock, 0) };
}

function createAdmin(parts: AdminParts, identify: Identify): Server {
  return createServer(async (req, res) => {
    const path = req.url!.split("?", 1)[0]!;
    try {
      if (!PATHS.includes(path))
        throw new CytoError("no-route", `Cannot find ${path} on the admin port: there is no such page`, {
          hint: `There are ${PATHS.join(", ")}.`,
        });
      if (req.method !== "GET" && req.method !== "HEAD")
        throw new CytoError("method-not-allowed", `Cannot ${req.method} ${path}: it can only be read`);
      send(res, await page(path, parts));
    } catch (thrown) {
      const error = toCytoError(thrown);
      const { requestId } = identityOf(req, identify);
      const allow: Headers = error.code === "method-not-allowed" ? [["allow", "GET, HEAD"]] : [];
      send(res, toProblem(error, { requestId, path, exposeErrors: true }, allow));
    }
  });
}

const PATHS = ["/healthz", "/readyz", "/metrics"];

async function page(path: string, parts: AdminParts): Promise<WholeReply> {
  if (path === "/metrics") {
    const { contentType, text } = await parts.metrics();
    return { status: 200, headers: [["content-type", contentType]], body: Buffer.from(text) };
  }
  const reason = path === "/readyz" ? parts.unready() : undefined;
  const body = Buffer.from(JSON.stringify(reason === undefined ? { status: "ok" } : { status: "unready", reason }));
  return { status: reason === undefined ? 200 : 503, headers: [["content-type", "application/json"]], body };
}

function send(res: ServerResponse, reply: WholeReply): void {
  const { body } = reply;
  res.writeHead(reply.status, [...reply.headers.flat(), "content-length", String(body.byteLength)]);
  res.end(body);
}
