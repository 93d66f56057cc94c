/**
 * The web APIs inside a guest. Each case also runs on Node, whose APIs are the real ones: a case that
 * expects what the standards do not say fails there.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { suites } from "./cases/suites.ts";
import { buildGuest, type Guest, openGuest } from "./guest.ts";

const service = `
import { suites } from "./cases/suites.ts";
export default {
  async fetch(request) {
    const { suite, name } = await request.json();
    await suites[suite][name]();
    return new Response("passed");
  },
};`;

let guest: Guest;

before(async () => {
  guest = await openGuest(await buildGuest(service));
});

for (const [suite, cases] of Object.entries(suites)) {
  describe(suite, () => {
    for (const [name, run] of Object.entries(cases)) {
      test(name, async () => {
        await run();
        const body = { tag: "text", val: JSON.stringify({ suite, name }) };
        const { text, failure } = await guest.fetch("/", { method: "POST", body });
        assert.equal(failure && `${failure.message}\n${failure.stack}`, undefined);
        assert.equal(text, "passed");
      });
    }
  });
}
