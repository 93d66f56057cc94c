import { CytoError, type Layer } from "../kernel/index.ts";

/** Refuses a call that has passed through `hopsMax` services: it goes round in a loop. */
export function hopLimit(hopsMax: number): Layer {
  return (next) => (call) => {
    if (call.hops < hopsMax) return next(call);
    const message = `Cannot call ${call.service}: the request has passed through ${call.hops} services`;
    const hint = "Look for services that call each other in a circle; `limits.hops` is the most allowed.";
    return Promise.reject(new CytoError("call-loop", message, { hint }));
  };
}
