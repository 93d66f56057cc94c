/**
 * How source maps name what a bundle is made of: the author's files and dependencies by their
 * absolute paths, the SDK's files and the entry module by names that no path begins with.
 */
import { relative } from "node:path";

/** The module that ties the service to the engine. */
export const entryId = "cytoplane:entry";
const sdkPrefix = "cytoplane:sdk/";

export function sourceName(file: string, sdkDirectory: string): string {
  if (file.endsWith(entryId)) return entryId;
  const inSdk = relative(sdkDirectory, file);
  return inSdk.startsWith("..") ? file : sdkPrefix + inSdk;
}

/** Of a name in a source map: whose code is it? */
export function ownerOf(name: string): "author" | "dependency" | "platform" {
  if (name === entryId || name.startsWith(sdkPrefix) || !/^([/\\]|[A-Z]:)/i.test(name)) return "platform";
  return /[/\\]node_modules[/\\]/.test(name) ? "dependency" : "author";
}
