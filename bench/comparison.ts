/** Measured throughputs as a table with their ratios. */
import type { Goal } from "./contract.ts";
import type { Measured } from "./rounds.ts";

/** Columns of ratios are to the contenders named in `against`. */
export function comparison(measured: readonly Measured[], against: readonly string[]) {
  const rate = (name: string) => measured.find((one) => one.name === name)?.perSecond ?? Number.NaN;
  return {
    columns: ["server", "requests/s", "rounds", "p50", "p99", ...against.map((name) => `÷ ${name}`)],
    rows: measured.map((one) => [
      one.name,
      whole(one.perSecond),
      `${whole(Math.min(...one.rounds))} – ${whole(Math.max(...one.rounds))}`,
      `${one.p50Ms.toFixed(2)} ms`,
      `${one.p99Ms.toFixed(2)} ms`,
      ...against.map((name) => ratio(one.perSecond / rate(name))),
    ]),
    figures: Object.fromEntries(measured.map((one) => [one.name, Math.round(one.perSecond)])),
    goal(name: string, factor: number, other: string): Goal {
      const value = rate(name) / rate(other);
      return { goal: `${name} ≥ ${factor} × ${other}`, measured: `${ratio(value)} ×`, met: value >= factor };
    },
  };
}

export function whole(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}

function ratio(value: number): string {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
