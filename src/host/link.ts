/**
 * Two threads that ask each other, over one port.
 *
 * Always true: what is asked and answered in one turn of the event loop goes over in one message;
 * every question settles exactly once, by the other thread or by `close`; an error arrives with its
 * code, hint and retry as it was thrown. Nothing runs while nobody asks.
 */
import { CytoError, type ErrorCode, toCytoError } from "../kernel/index.ts";

/** What a thread answers: functions by name. Arguments and answers are copied (structured clone). */
export type Calls<T> = { readonly [K in keyof T]: (...args: never[]) => unknown };

export interface Link<Theirs extends Calls<Theirs>> {
  ask<K extends keyof Theirs & string>(
    name: K,
    ...args: Parameters<Theirs[K]>
  ): Promise<Awaited<ReturnType<Theirs[K]>>>;
  /** All that waits for an answer, and all that is asked from now on, fails with `reason`. */
  close(reason: CytoError): void;
}

/** A `MessagePort`, `Worker`, or `parentPort`. */
export interface Port {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: Message[]) => void): unknown;
}

type Message =
  | { readonly id: number; readonly name: string; readonly args: readonly never[] }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError };

interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly retryAfterS: number | undefined;
  /** The stack of what caused it, for a log. */
  readonly cause: string | undefined;
}

/** `Theirs` is what the other thread answers, `answers` what this one does. */
export function createLink<Theirs extends Calls<Theirs>, Ours extends Calls<Ours>>(
  port: Port,
  answers: Ours,
): Link<Theirs> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let outgoing: Message[] = [];
  let lastId = 0;
  let closed: CytoError | undefined;

  function post(message: Message): void {
    if (closed === undefined && outgoing.push(message) === 1) setImmediate(flush);
  }

  function flush(): void {
    const messages = outgoing;
    outgoing = [];
    if (closed === undefined) port.postMessage(messages);
  }

  async function answer(id: number, name: string, args: readonly never[]): Promise<void> {
    try {
      post({ id, value: await answers[name as keyof Ours](...args) });
    } catch (thrown) {
      post({ id, error: toSent(toCytoError(thrown)) });
    }
  }

  port.on("message", (messages) => {
    for (const message of messages) {
      if ("name" in message) {
        void answer(message.id, message.name, message.args);
        continue;
      }
      const question = waiting.get(message.id);
      waiting.delete(message.id);
      if ("error" in message) question?.reject(fromSent(message.error));
      else question?.resolve(message.value);
    }
  });

  return {
    ask(name, ...args) {
      if (closed !== undefined) return Promise.reject(closed);
      const question = Promise.withResolvers<unknown>();
      const id = ++lastId;
      waiting.set(id, question);
      post({ id, name, args });
      return question.promise as ReturnType<Link<Theirs>["ask"]>;
    },
    close(reason) {
      closed ??= reason;
      for (const question of waiting.values()) question.reject(reason);
      waiting.clear();
    },
  };
}

function toSent({ code, message, hint, retryAfterS, cause }: CytoError): SentError {
  return { code, message, hint, retryAfterS, cause: cause instanceof Error ? cause.stack : undefined };
}

function fromSent({ code, message, hint, retryAfterS, cause }: SentError): CytoError {
  return new CytoError(code, message, {
    ...(hint !== undefined && { hint }),
    ...(retryAfterS !== undefined && { retryAfterS }),
    ...(cause !== undefined && { cause: withStack(cause) }),
  });
}

function withStack(stack: string): Error {
  const error = new Error(stack.split("\n", 1)[0]?.replace(/^\w*Error: /, ""));
  error.stack = stack;
  return error;
}
