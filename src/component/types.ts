/** Types with their indices resolved: trees whose leaves are primitives and resource identities. */
import type { Primitive } from "./decode.ts";

export type ValueType =
  | { readonly kind: "primitive"; readonly type: Primitive }
  | { readonly kind: "record"; readonly fields: readonly { readonly name: string; readonly type: ValueType }[] }
  | {
      readonly kind: "variant";
      readonly cases: readonly { readonly name: string; readonly type: ValueType | undefined }[];
    }
  | { readonly kind: "list"; readonly element: ValueType; readonly length: number | undefined }
  | { readonly kind: "map"; readonly key: ValueType; readonly value: ValueType }
  | { readonly kind: "tuple"; readonly types: readonly ValueType[] }
  | { readonly kind: "flags"; readonly names: readonly string[] }
  | { readonly kind: "enum"; readonly names: readonly string[] }
  | { readonly kind: "option"; readonly type: ValueType }
  | { readonly kind: "result"; readonly ok: ValueType | undefined; readonly err: ValueType | undefined }
  | { readonly kind: "own" | "borrow"; readonly resource: ResourceType }
  | { readonly kind: "stream" | "future"; readonly element: ValueType | undefined };

export interface ResolvedFunction {
  readonly kind: "func";
  readonly async: boolean;
  readonly params: readonly { readonly name: string; readonly type: ValueType }[];
  readonly result: ValueType | undefined;
}

/** The identity of a resource type; two are the same type only if they are the same object. */
export interface ResourceType {
  readonly name: string;
  /** The component instance that defines it; `undefined` for the host's. */
  readonly home: number | undefined;
}

/** `get-random-bytes` as `getRandomBytes`. */
export function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `input-stream` as `InputStream`. */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel[0]!.toUpperCase() + camel.slice(1);
}

/** `wasi:io/streams@0.2.6` as `wasi:io/streams`: patch versions of one minor are one interface. */
export function withoutVersion(name: string): string {
  const at = name.indexOf("@");
  return at === -1 ? name : name.slice(0, at);
}

/** `wasi:io/streams@0.2.6` as `wasi:io/streams@0.2`: what all patch versions of one minor are. */
export function withMinorVersion(name: string): string {
  return name.replace(/@(\d+\.\d+).*$/, "@$1");
}
