/**
 * A certificate for `localhost` and 127.0.0.1 that is its own authority, for servers of tests.
 * Nothing but a test trusts it; its key is no secret.
 */
import { fileURLToPath } from "node:url";

export const tlsAuthority = fileURLToPath(new URL("./tls/localhost.crt", import.meta.url));
export const tlsKey = fileURLToPath(new URL("./tls/localhost.key", import.meta.url));
