/** wasi:filesystem: the directories that the manifest grants, under the paths it gives them, and nothing else. */
import { CytoError } from "../../kernel/index.ts";
import type { Grants } from "../contract.ts";
import { Descriptor, DirectoryEntryStream } from "./filesystem/descriptor.ts";
import { toFileError } from "./filesystem/error.ts";
import { openGranted } from "./filesystem/path.ts";
import type { IoError } from "./io.ts";
import { assertLive, type HostState } from "./state.ts";

export function filesystem(grants: Grants, state: HostState) {
  return {
    "wasi:filesystem/preopens": {
      getDirectories: () => openDirectories(grants, state),
    },
    "wasi:filesystem/types": { Descriptor, DirectoryEntryStream, filesystemErrorCode },
  };
}

/** The granted directories, opened, with the paths that the guest knows them by. */
export function openDirectories(grants: Grants, state: HostState): [Descriptor, string][] {
  assertLive(state);
  return grants.directories.map((directory) => [open(directory, grants, state), directory.guest]);
}

function open(directory: Grants["directories"][number], grants: Grants, state: HostState): Descriptor {
  try {
    const flags = { read: true, mutateDirectory: !directory.readOnly };
    return new Descriptor(openGranted(directory.host), !directory.readOnly, flags, state);
  } catch (cause) {
    throw new CytoError(
      "backend-unavailable",
      `Cannot open directory ${directory.guest} of service ${grants.service}: ${cause instanceof Error ? cause.message : cause}`,
      { cause, hint: "Make the directory, or correct its path under `directories` in the manifest." },
    );
  }
}

/** The code of a failed file stream, if it was one of a file. */
function filesystemErrorCode(error: IoError): string | undefined {
  const code = toFileError(error.cause);
  return typeof code === "string" ? code : undefined;
}
