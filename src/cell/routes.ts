/** What a manifest says to the rooms that calls go through: routes to the gateway, policies to the mesh. */
import type { Route } from "../gateway/index.ts";
import { type Call, limits } from "../kernel/index.ts";
import type { CallPolicy } from "../mesh/index.ts";
import type { App, ServiceDeclaration } from "./manifest/contract.ts";

export function routesOf({ services }: App): readonly Route[] {
  return Object.values(services).flatMap((declaration) =>
    declaration.routes.map((route) => ({
      ...route,
      service: declaration.name,
      timeoutMs: timeoutOf(declaration) ?? limits.timeoutMs,
      bodyBytes: declaration.limits.bodyBytes ?? limits.bodyBytes,
    })),
  );
}

/** The policy of a call is its callee's. */
export function policyOf({ services }: App): (call: Call) => CallPolicy {
  const policies = new Map(Object.values(services).map((declaration) => [declaration.name, toCallPolicy(declaration)]));
  const none: CallPolicy = {};
  return (call) => policies.get(call.service) ?? none;
}

function toCallPolicy(declaration: ServiceDeclaration): CallPolicy {
  const timeoutMs = timeoutOf(declaration);
  const { retry } = declaration.policy;
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(retry && { attempts: retry.attempts }) };
}

function timeoutOf({ policy, limits: own }: ServiceDeclaration): number | undefined {
  return policy.timeoutMs ?? own.timeoutMs;
}
