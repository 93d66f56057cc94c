/** Tells when one of a set of files changes, once for changes that come together. */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface Watcher extends Disposable {
  /**
   * Watches these files from now on, and no others. With `neighbours`, also whatever else in their
   * folders a service can be made of: what is missing may come to be there. Other files, such as a log
   * that is written into the project, tell nothing.
   */
  update(files: Iterable<string>, options: { readonly neighbours: boolean }): void;
}

const made = /\.(?:[cm]?[jt]sx?|json|ya?ml|txt|wasm)$/;

/** Whether a change of `path`, which lies in a watched folder, is to be told. */
export function concerns(path: string, files: ReadonlySet<string>, neighbours: boolean): boolean {
  if (files.has(path)) return true;
  // Editors' own files begin with a dot, and so does .cyto, where builds and data are written.
  return neighbours && made.test(path) && !basename(path).startsWith(".");
}

/** An editor writes a file in several steps. */
const quietMs = 30;

/** `onChange` is told when the first of the changes came, on `performance.now()`. */
export function createWatcher(onChange: (firstMs: number) => void): Watcher {
  const watchers = new Map<string, FSWatcher>();
  let watched: ReadonlySet<string> = new Set();
  let besides = false;
  let timer: NodeJS.Timeout | undefined;
  let firstMs: number | undefined;

  const changed = (directory: string, name: string | null) => {
    if (name !== null && !concerns(join(directory, name), watched, besides)) return;
    firstMs ??= performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => {
      const since = firstMs ?? performance.now();
      firstMs = undefined;
      onChange(since);
    }, quietMs);
  };
  const close = (directory: string) => {
    watchers.get(directory)?.close();
    watchers.delete(directory);
  };
  return {
    update(files, { neighbours }) {
      watched = new Set(files);
      besides = neighbours;
      const wanted = new Set([...watched].map((file) => dirname(file)));
      for (const directory of watchers.keys()) if (!wanted.has(directory)) close(directory);
      for (const directory of wanted) {
        if (watchers.has(directory)) continue;
        try {
          const watcher = watch(directory, (_event, name) => changed(directory, name));
          watcher.on("error", () => close(directory));
          watchers.set(directory, watcher);
        } catch {
          // It does not exist yet: the folder above it, which is watched too, tells when it does.
        }
      }
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      for (const directory of [...watchers.keys()]) close(directory);
    },
  };
}
