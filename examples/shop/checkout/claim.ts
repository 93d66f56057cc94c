/**
 * One checkout of a cart at a time.
 *
 * A claim ends with the checkout that made it. One left behind by a crash lapses: claims are kept by the period
 * they were made in, and only this period and the one before count. A period is longer than a checkout may take.
 */
import { keyvalue } from "@cytoplane/sdk";

const claims = keyvalue<number>("claims");
const periodMs = 15_000;

/** A way to give the claim up; undefined when another checkout has it. */
export async function claim(cart: string): Promise<(() => Promise<void>) | undefined> {
  const period = Math.floor(Date.now() / periodMs);
  const key = `${cart}@${period}`;
  if ((await claims.increment(key, 1)) !== 1) return undefined;
  const giveUp = () => claims.delete(key);
  if (!(await claims.has(`${cart}@${period - 1}`))) return giveUp;
  await giveUp();
  return undefined;
}
