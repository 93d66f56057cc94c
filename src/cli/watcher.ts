/** Tells when something changes in a set of folders, once for changes that come together. */
import { type FSWatcher, watch } from "node:fs";
import { basename } from "node:path";

export interface Watcher extends Disposable {
  /** Watches these folders from now on, and no others. Those that do not exist are left out. */
  update(directories: Iterable<string>): void;
}

/** An editor writes a file in several steps. */
const quietMs = 30;

/** `onChange` is told when the first of the changes came, on `performance.now()`. */
export function createWatcher(onChange: (firstMs: number) => void): Watcher {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;
  let firstMs: number | undefined;

  const changed = (name: string | null) => {
    // Editors' own files, and .cyto, where builds and data are written.
    if (name !== null && /^\.|~$|\.swp$/.test(basename(name))) return;
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
    update(directories) {
      const wanted = new Set(directories);
      for (const directory of watchers.keys()) if (!wanted.has(directory)) close(directory);
      for (const directory of wanted) {
        if (watchers.has(directory)) continue;
        try {
          const watcher = watch(directory, (_event, name) => changed(name));
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
