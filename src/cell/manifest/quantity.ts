/**
 * Durations (`500ms`, `2s`, `1m`) and sizes (`10MB`, `64KiB`) as the manifest writes them.
 *
 * The patterns are the schema's, so what passed validation always parses. `KB` and `MB` are powers
 * of ten, `KiB` and `MiB` powers of two.
 */
const durations = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const sizes = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
} as const;

export const durationPattern = "^[0-9]+(\\.[0-9]+)?(ms|s|m|h)$";
export const sizePattern = "^[0-9]+(\\.[0-9]+)?([kKMG]B|[KMG]iB|B)$";

/** Milliseconds; a plain number is milliseconds already. */
export function toMilliseconds(written: string | number): number {
  return toNumber(written, durations);
}

/** Bytes; a plain number is bytes already. */
export function toBytes(written: string | number): number {
  return toNumber(written, sizes);
}

function toNumber(written: string | number, units: Readonly<Record<string, number>>): number {
  if (typeof written === "number") return written;
  const [, amount, unit] = /^([0-9.]+)([a-zA-Z]+)$/.exec(written) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  if (amount === undefined || factor === undefined) throw new RangeError(`Cannot read quantity: "${written}"`);
  return Math.round(Number(amount) * factor);
}
