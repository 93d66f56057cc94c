/**
 * The mesh: what every call falls through between the gateway, or a calling service, and a host.
 *
 *     hops ─ deadline ─ retry ─( resolve ─ reach )
 *
 * Hops come first, because nothing else stops a loop from eating every deadline it is given. The
 * deadline holds all attempts together, so it stands outside of retry. Resolving is part of an
 * attempt, so that a retry finds what was deployed meanwhile.
 */
import { CytoError, createDeadlines, type Service, stack } from "../kernel/index.ts";
import type { MeshParts } from "./contract.ts";
import { deadline } from "./deadline.ts";
import { hopLimit } from "./hop-limit.ts";
import { retry } from "./retry.ts";

export function createMesh({ resolve, policy, clock, random, hops }: MeshParts): Service {
  const reach: Service = (call) => {
    const service = resolve(call.service);
    if (service) return service(call);
    const message = `Cannot call ${call.service}: it is not deployed`;
    return Promise.reject(new CytoError("no-service", message));
  };
  return stack([hopLimit(hops), deadline(policy, createDeadlines(clock), clock), retry(policy, clock, random)], reach);
}
