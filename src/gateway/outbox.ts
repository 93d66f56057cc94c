/**
 * Replies that are ready in one turn of the event loop, written together at its end.
 *
 * A write to a socket wakes its reader, which costs the writer more than the copying (most of all on
 * a virtual machine). Of writes that follow each other at once only the first does: the reader is
 * awake for the others. A reply waits for what was ready to run anyway, never for time to pass.
 */
export interface Outbox {
  /** Runs `write` at the end of this turn, after those that were posted before it. */
  post(write: () => void): void;
}

export function createOutbox(): Outbox {
  let posted: (() => void)[] = [];

  function flush(): void {
    const writes = posted;
    posted = [];
    for (const write of writes) write();
  }

  return {
    post(write) {
      if (posted.push(write) === 1) setImmediate(flush);
    },
  };
}
