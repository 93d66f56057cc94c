/**
 * secret: a text under a name, kept so that nobody reads it without the key.
 *
 * Always true: what `set` acknowledged survives a crash; a value is in no message, listing or log.
 */

/** What a service needs of it. */
export interface Secrets {
  /** Throws `missing-secret` where there is none of that name. */
  get(name: string): Promise<string>;
}

/** What whoever keeps the secrets needs of it. */
export interface SecretStore extends Secrets {
  set(name: string, value: string): Promise<void>;
  /** By name, in order; never values. */
  list(): Promise<readonly SecretEntry[]>;
  /** Throws `missing-secret` where there is none of that name. */
  remove(name: string): Promise<void>;
}

export interface SecretEntry {
  readonly name: string;
  /** When it was set last, in milliseconds since the Unix epoch. */
  readonly updatedMs: number;
}
