/**
 * What is wrong with the components that an app brings along, found without deploying any: bytes that break
 * a rule, nothing that takes requests, an import that nothing binds.
 */
import { readFile } from "node:fs/promises";
import { load } from "../component/index.ts";
import { toCytoError } from "../kernel/index.ts";
import { checkDeployable } from "./deployment.ts";
import type { App } from "./manifest/contract.ts";

export interface ComponentFault {
  readonly service: string;
  readonly message: string;
  readonly hint: string | undefined;
}

export async function checkComponents({ services }: App): Promise<ComponentFault[]> {
  const faults: ComponentFault[] = [];
  for (const declaration of Object.values(services)) {
    const { name: service, component } = declaration;
    if (component === undefined) continue;
    try {
      checkDeployable(await load(await readFile(component)), declaration);
    } catch (thrown) {
      const { message, hint } = toCytoError(thrown);
      faults.push({ service, message: `"${service}" cannot be deployed: ${message}`, hint });
    }
  }
  return faults;
}
