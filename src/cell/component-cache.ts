/**
 * What was made of components, kept on disk by name: a component that was deployed before is not
 * decoded, checked and woven again. Losing it costs time and nothing else, so that nothing here fails.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ComponentCache } from "../component/index.ts";
import type { Clock } from "../kernel/index.ts";

/** As many versions of services as a developer goes back and forth between. */
const ENTRIES_MAX = 128;

export function openComponentCache(directory: string, { now }: Pick<Clock, "now">): ComponentCache {
  const touch = (path: string) => utimes(path, now() / 1000, now() / 1000);
  return {
    async read(name) {
      const path = join(directory, name);
      try {
        const content = await readFile(path);
        await touch(path);
        return content;
      } catch {
        return undefined;
      }
    },
    async write(name, content) {
      const fresh = join(directory, `${name}.${randomUUID()}.new`);
      try {
        await mkdir(directory, { recursive: true });
        await writeFile(fresh, content);
        await touch(fresh);
        await rename(fresh, join(directory, name));
        await prune(directory);
      } catch {
        await rm(fresh, { force: true }).catch(() => {});
      }
    },
  };
}

/** Those used longest ago go first. */
async function prune(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (names.length <= ENTRIES_MAX) return;
  const used = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(directory, name))).mtimeMs })),
  );
  used.sort((a, b) => a.at - b.at);
  const old = used.slice(0, names.length - ENTRIES_MAX);
  await Promise.all(old.map(({ name }) => rm(join(directory, name), { force: true })));
}
