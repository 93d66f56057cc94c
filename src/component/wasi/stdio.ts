/**
 * The three standard streams of an instance, one of each however often a guest asks for them.
 *
 * What a command writes goes to the streams that it was granted, at the pace of whoever reads them. Of
 * a service, standard input is empty, and what it writes to standard output and error becomes lines of
 * its log, `info` and `error`, empty ones left out; a line left open is logged when the call ends.
 */
import type { Grants, LogLevel, StandardOutput } from "../contract.ts";
import { type ByteSink, chunkBytes, InputStream, OutputStream } from "./io.ts";
import { assertLive, type HostState } from "./state.ts";

export interface StandardIo {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly terminals: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
}

export function standardIo(grants: Grants, state: HostState): StandardIo {
  const { stdin, stdout, stderr } = grants.stdio ?? {};
  return {
    stdin: new StandardInputStream(stdin),
    stdout: stdout ? paced(stdout, state) : new StandardOutputStream(lines("info", "stdout", grants, state)),
    stderr: stderr ? paced(stderr, state) : new StandardOutputStream(lines("error", "stderr", grants, state)),
    terminals: {
      stdin: stdin?.terminal === true,
      stdout: stdout?.terminal === true,
      stderr: stderr?.terminal === true,
    },
  };
}

/** A guest that drops its handle may ask for another: the stream stays. */
class StandardInputStream extends InputStream {
  override [Symbol.dispose](): void {}
}

class StandardOutputStream extends OutputStream {
  override [Symbol.dispose](): void {}
}

/**
 * What a command may write at once. As much as other hosts take: there are programs that write without
 * a buffer, and lose what is not taken.
 */
const pieceBytes = 1024 * 1024;

/** Writes one piece at a time: there is no room while the one before is on its way. */
function paced(output: StandardOutput, state: HostState): OutputStream {
  let underway = false;
  const stream = new StandardOutputStream({
    room() {
      assertLive(state);
      return underway ? 0 : pieceBytes;
    },
    write(bytes) {
      const taken = output.write(bytes);
      if (taken === undefined) return;
      underway = true;
      taken.then(
        () => {
          underway = false;
          stream.progress();
        },
        (cause) => stream.close(cause),
      );
    },
  });
  return stream;
}

/** A line longer than this is cut in several. */
const lineLength = 16_384;

function lines(level: LogLevel, context: string, grants: Grants, state: HostState): ByteSink {
  const decoder = new TextDecoder();
  let rest = "";
  state.afterCall.push(() => {
    // A character cut off goes with its call.
    rest += decoder.decode();
    if (rest !== "") grants.log(level, context, rest, state.call);
    rest = "";
  });
  return {
    room: () => chunkBytes,
    write(bytes) {
      rest += decoder.decode(bytes, { stream: true });
      let start = 0;
      for (
        let end = rest.indexOf("\n");
        end !== -1 || rest.length - start > lineLength;
        end = rest.indexOf("\n", start)
      ) {
        const cut = end === -1 || end - start > lineLength;
        const stop = cut ? start + lineLength : end;
        if (stop > start) grants.log(level, context, rest.slice(start, stop), state.call);
        start = cut ? stop : stop + 1;
      }
      rest = rest.slice(start);
    },
  };
}
