/** wasi:config: the service's configuration values. `runtime` is the older name of `store`. */
export function config(values: Readonly<Record<string, string>>) {
  const store = {
    get: (key: string): string | undefined => (Object.hasOwn(values, key) ? values[key] : undefined),
    getAll: (): [string, string][] => Object.entries(values),
  };
  return { "wasi:config/store": store, "wasi:config/runtime": store };
}
