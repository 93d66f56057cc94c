/**
 * Finding a place inside a granted directory, and nowhere else.
 *
 * A path is walked one name at a time from an open directory. Each directory on the way is opened
 * without following links and held while the walk goes on; a link is read and walked in its turn;
 * `..` goes back to what is held, and past the beginning is refused, as an absolute path is. On
 * Linux a name is looked up in the directory that is held (`/proc/self/fd/N/name`), so that nobody
 * can swap it for a link in between.
 */
import { closeSync, constants, lstatSync, openSync, readlinkSync } from "node:fs";

/** An open directory and its path on the host. */
export interface Held {
  readonly fd: number;
  readonly path: string;
}

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const linksFollowed = 40;
const held = process.platform === "linux";

/** Where the system finds `name` in `directory`. */
export function locate(directory: Held, name: string): string {
  return `${held ? `/proc/self/fd/${directory.fd}` : directory.path}/${name}`;
}

/** Opens a directory that the manifest grants; there links are followed. */
export function openGranted(path: string): Held {
  return { fd: openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), path };
}

/** Runs `act` with the place that `path` names; with `follow`, not one that is a link. */
export function within<T>(start: Held, path: string, follow: boolean, act: (location: string, host: string) => T): T {
  if (path === "") throw "no-entry";
  if (path.includes("\0")) throw "invalid";
  const names = split(path);
  const walked: Held[] = [start];
  let links = 0;
  try {
    for (;;) {
      const directory = walked.at(-1)!;
      const name = names.shift() ?? ".";
      const last = names.length === 0;
      if (name === "..") {
        if (walked.length === 1) throw "not-permitted";
        closeSync(walked.pop()!.fd);
        if (last) names.push(".");
        continue;
      }
      const location = locate(directory, name);
      const host = `${directory.path}/${name}`;
      const target = last && !follow ? undefined : link(location);
      if (target !== undefined) {
        if (++links > linksFollowed) throw "loop";
        names.unshift(...split(target));
      } else if (last) return act(location, host);
      else if (name !== ".") walked.push({ fd: openSync(location, openDirectory), path: host });
    }
  } finally {
    for (const directory of walked.slice(1)) closeSync(directory.fd);
  }
}

/** The names of a relative path; one that ends in a slash names a directory. */
function split(path: string): string[] {
  if (path.startsWith("/")) throw "not-permitted";
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  return names.length === 0 || path.endsWith("/") ? [...names, "."] : names;
}

/** What a link points to; `undefined` when there is nothing, or something else. */
function link(location: string): string | undefined {
  return lstatSync(location, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(location) : undefined;
}
