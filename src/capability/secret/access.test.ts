import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../kernel/index.ts";
import { createSecretAccess } from "./access.ts";
import { createSecretMemory } from "./memory.ts";

describe("createSecretAccess()", async () => {
  const secrets = createSecretMemory({ clock: systemClock });
  await secrets.set("stripe", "sk_live_$&_1234");
  await secrets.set("pin", "1234");
  await secrets.set("other", "not for you");

  test("gives what the manifest lists, and nothing else", async () => {
    const access = createSecretAccess({ service: "pay", declared: ["stripe", "missing"], secrets });
    assert.equal(await access.get("stripe"), "sk_live_$&_1234");
    await assert.rejects(access.get("missing"), { code: "missing-secret", hint: "Set it: cyto secret set missing" });
    await assert.rejects(access.get("other"), {
      code: "not-permitted",
      message: "Cannot read secret other: it is not in the secrets of service pay",
      hint: 'Add "other" to services.pay.secrets in the manifest.',
    });
    await assert.rejects(access.get("stirpe"), { hint: /^Did you mean "stripe"\?/ });
  });

  test("takes the values it gave out of a text, but none so short that it means little", async () => {
    const access = createSecretAccess({ service: "pay", declared: ["stripe", "pin"], secrets });
    const text = "charged with sk_live_$&_1234, sk_live_$&_1234";
    assert.equal(access.redact(text), text);
    await access.get("stripe");
    await access.get("pin");
    assert.equal(access.redact(text), "charged with [secret stripe], [secret stripe]");
    assert.equal(access.redact("1234"), "1234");
  });
});
