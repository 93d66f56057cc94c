/**
 * wasi:cli 0.3: the same arguments, environment and standard streams as of 0.2, with streams and
 * futures of the Component Model over them. Whichever version a guest writes with, its bytes end up
 * in one place, in order.
 */
import type { StreamReader, StreamSource } from "../../contract.ts";
import type { cli as cli02 } from "../cli.ts";
import { chunkBytes, type InputStream, type OutputStream, type StreamError } from "../io.ts";

type ErrorCode = "io" | "illegal-byte-sequence" | "pipe";
type Outcome = { readonly tag: "ok" } | { readonly tag: "err"; readonly val: ErrorCode };

const ok: Outcome = { tag: "ok" };

/** `hosts` are those of 0.2 for the same instance. */
export function cli(hosts: ReturnType<typeof cli02>) {
  const { getEnvironment, getArguments, initialCwd } = hosts["wasi:cli/environment"];
  const { getStdin } = hosts["wasi:cli/stdin"];
  const { getStdout } = hosts["wasi:cli/stdout"];
  const { getStderr } = hosts["wasi:cli/stderr"];
  return {
    "wasi:cli/environment@0.3": { getEnvironment, getArguments, getInitialCwd: initialCwd },
    "wasi:cli/exit@0.3": hosts["wasi:cli/exit"],
    "wasi:cli/stdin@0.3": { readViaStream: () => readFrom(getStdin()) },
    "wasi:cli/stdout@0.3": { writeViaStream: (data: StreamReader<Uint8Array>) => writeTo(getStdout(), data) },
    "wasi:cli/stderr@0.3": { writeViaStream: (data: StreamReader<Uint8Array>) => writeTo(getStderr(), data) },
    "wasi:cli/terminal-input@0.3": hosts["wasi:cli/terminal-input"],
    "wasi:cli/terminal-output@0.3": hosts["wasi:cli/terminal-output"],
    "wasi:cli/terminal-stdin@0.3": hosts["wasi:cli/terminal-stdin"],
    "wasi:cli/terminal-stdout@0.3": hosts["wasi:cli/terminal-stdout"],
    "wasi:cli/terminal-stderr@0.3": hosts["wasi:cli/terminal-stderr"],
  };
}

function readFrom(input: InputStream): [StreamSource<Uint8Array>, Promise<Outcome>] {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const ended = (thrown: unknown): undefined => {
    resolve(isClosed(thrown) ? ok : { tag: "err", val: "io" });
  };
  const source: StreamSource<Uint8Array> = {
    pull() {
      try {
        const read = input.blockingRead(BigInt(chunkBytes));
        return read instanceof Promise ? read.catch(ended) : read;
      } catch (thrown) {
        return ended(thrown);
      }
    },
    cancel: () => resolve(ok),
  };
  return [source, promise];
}

/** Settles when everything was written, or cannot be. */
async function writeTo(output: OutputStream, data: StreamReader<Uint8Array>): Promise<Outcome> {
  using reader = data;
  for (;;) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = await reader.read(chunkBytes);
    } catch {
      // The guest has trapped: nobody is left to be told.
      return ok;
    }
    if (chunk === undefined) return ok;
    try {
      await output.blockingWriteAndFlush(chunk);
      await output.blockingFlush();
    } catch (thrown) {
      return { tag: "err", val: isClosed(thrown) ? "pipe" : "io" };
    }
  }
}

function isClosed(thrown: unknown): boolean {
  return (thrown as StreamError).tag === "closed";
}
