/** Failures of the file system in the words of wasi:filesystem: the enum `error-code`. */

const bySystemCode: Readonly<Record<string, string>> = {
  EACCES: "access",
  EAGAIN: "would-block",
  EBADF: "bad-descriptor",
  EBUSY: "busy",
  EDQUOT: "quota",
  EEXIST: "exist",
  EFBIG: "file-too-large",
  EILSEQ: "illegal-byte-sequence",
  EINTR: "interrupted",
  EINVAL: "invalid",
  EIO: "io",
  EISDIR: "is-directory",
  ELOOP: "loop",
  EMFILE: "quota",
  EMLINK: "too-many-links",
  ENAMETOOLONG: "name-too-long",
  ENFILE: "quota",
  ENODEV: "no-such-device",
  ENOENT: "no-entry",
  ENOMEM: "insufficient-memory",
  ENOSPC: "insufficient-space",
  ENOTDIR: "not-directory",
  ENOTEMPTY: "not-empty",
  ENOTSUP: "unsupported",
  ENXIO: "no-such-device",
  EOVERFLOW: "overflow",
  EPERM: "not-permitted",
  EPIPE: "pipe",
  EROFS: "read-only",
  ESPIPE: "invalid-seek",
  ETXTBSY: "text-file-busy",
  EXDEV: "cross-device",
};

/** The code of a system error; any other error is a fault of ours and rises as it is. */
export function toFileError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !("code" in thrown)) return thrown;
  return bySystemCode[String(thrown.code)] ?? "io";
}

/** Runs a file operation; a failure becomes the code that the guest reads. */
export function attempt<T>(operation: () => T): T {
  try {
    return operation();
  } catch (thrown) {
    throw toFileError(thrown);
  }
}
