/** The functions of WASI 0.1 on a path below an open directory: `path_…`. */
import type { Descriptor } from "../filesystem/descriptor.ts";
import { flag, newTimes, writeStat } from "./files.ts";
import type { GuestMemory } from "./memory.ts";
import { type DescriptorTable, directoryRights, fileRights, right } from "./table.ts";

const follow = 1;
/** `oflags`. */
const opening = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
/** What a program asks for that means to read, and to write. */
const reads = right.read | right.readDirectory;
const writes = right.write | right.allocate | right.setSize;

export function pathFunctions(table: () => DescriptorTable) {
  const at = (fd: number, needed: bigint): Descriptor => table().directory(fd, needed).file;
  const followed = (flags: number) => ({ symlinkFollow: (flags & follow) !== 0 });
  return {
    path_create_directory(memory: GuestMemory, fd: number, path: number, length: number): void {
      at(fd, right.createDirectory).createDirectoryAt(memory.text(path, length));
    },

    path_filestat_get(memory: GuestMemory, fd: number, flags: number, path: number, length: number, out: number): void {
      const directory = at(fd, right.statAt);
      const name = memory.text(path, length);
      const how = followed(flags);
      writeStat(memory, out, directory.statAt(how, name), directory.objectIdAt(how, name));
    },

    path_filestat_set_times(
      memory: GuestMemory,
      fd: number,
      flags: number,
      path: number,
      length: number,
      access: bigint,
      modification: bigint,
      times: number,
    ): void {
      const to = newTimes(access, modification, times);
      at(fd, right.setTimesAt).setTimesAt(followed(flags), memory.text(path, length), ...to);
    },

    path_link(
      memory: GuestMemory,
      oldFd: number,
      flags: number,
      oldPath: number,
      oldLength: number,
      newFd: number,
      newPath: number,
      newLength: number,
    ): void {
      const to = at(newFd, right.linkTarget);
      const from = at(oldFd, right.linkSource);
      from.linkAt(followed(flags), memory.text(oldPath, oldLength), to, memory.text(newPath, newLength));
    },

    path_open(
      memory: GuestMemory,
      fd: number,
      pathFlags: number,
      path: number,
      length: number,
      how: number,
      asked: bigint,
      passedOn: bigint,
      flags: number,
      out: number,
    ): void {
      const create = (how & opening.create) !== 0;
      const parent = table().directory(fd, right.open | (create ? right.createFile : 0n));
      if ((asked & ~parent.inheriting & (reads | writes)) !== 0n) throw "not-capable";
      const write = (asked & writes) !== 0n;
      const read = (asked & reads) !== 0n;
      const file = parent.file.openAt(
        followed(pathFlags),
        memory.text(path, length),
        {
          create,
          directory: (how & opening.directory) !== 0,
          exclusive: (how & opening.exclusive) !== 0,
          truncate: (how & opening.truncate) !== 0,
        },
        {
          read: read || !write,
          write,
          dataIntegritySync: (flags & flag.dsync) !== 0,
          fileIntegritySync: (flags & (flag.sync | flag.rsync)) !== 0,
        },
      );
      const type = file.getType();
      if (type === "directory") {
        const { base, inheriting } = directoryRights;
        const kept = passedOn === 0n ? parent.inheriting : passedOn & parent.inheriting;
        const opened = { kind: "directory", file, granted: undefined, listing: undefined } as const;
        memory.setU32(out, table().add({ ...opened, base, inheriting: inheriting & kept, flags }));
        return;
      }
      const base = fileRights(read, write);
      memory.setU32(out, table().add({ kind: "file", file, type, position: 0, base, inheriting: 0n, flags }));
    },

    path_readlink(
      memory: GuestMemory,
      fd: number,
      path: number,
      length: number,
      buffer: number,
      room: number,
      out: number,
    ): void {
      const target = Buffer.from(at(fd, right.readLink).readlinkAt(memory.text(path, length)));
      const taken = target.subarray(0, room >>> 0);
      memory.bytes(buffer, taken.length).set(taken);
      memory.setU32(out, taken.length);
    },

    path_remove_directory(memory: GuestMemory, fd: number, path: number, length: number): void {
      at(fd, right.removeDirectory).removeDirectoryAt(memory.text(path, length));
    },

    path_rename(
      memory: GuestMemory,
      oldFd: number,
      oldPath: number,
      oldLength: number,
      newFd: number,
      newPath: number,
      newLength: number,
    ): void {
      const to = at(newFd, right.renameTarget);
      at(oldFd, right.renameSource).renameAt(memory.text(oldPath, oldLength), to, memory.text(newPath, newLength));
    },

    path_symlink(
      memory: GuestMemory,
      target: number,
      targetLength: number,
      fd: number,
      path: number,
      length: number,
    ): void {
      at(fd, right.symlink).symlinkAt(memory.text(target, targetLength), memory.text(path, length));
    },

    path_unlink_file(memory: GuestMemory, fd: number, path: number, length: number): void {
      at(fd, right.unlink).unlinkFileAt(memory.text(path, length));
    },
  };
}
