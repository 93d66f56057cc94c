/** The WebAssembly JavaScript API as V8 has it, JSPI included; TypeScript declares it for browsers only. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: BufferSource);
    static imports(module: Module): { module: string; name: string; kind: string }[];
    static exports(module: Module): { name: string; kind: string }[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Global {
    constructor(descriptor: { value: "i32" | "i64" | "f32" | "f64"; mutable?: boolean }, value?: number | bigint);
    value: unknown;
  }
  class RuntimeError extends Error {
    constructor(message?: string, options?: ErrorOptions);
  }
  class LinkError extends Error {}
  class CompileError extends Error {}
  /** A host function that may suspend the WebAssembly stack that calls it. */
  class Suspending {
    constructor(fn: (...args: never[]) => unknown);
  }
  /** An export whose callers get a promise, because it may be suspended. */
  function promising(fn: unknown): (...args: never[]) => Promise<unknown>;
  function compile(bytes: BufferSource): Promise<Module>;
  function validate(bytes: BufferSource): boolean;
}
