/** What a secret may be, the same for every store, and the errors about one. */
import { CytoError } from "../../kernel/index.ts";

const valueBytes = 64 * 1024;

export function refuseSecretName(name: string): void {
  if (/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(name)) return;
  throw new CytoError(
    "bad-request",
    `Cannot set secret ${JSON.stringify(name.slice(0, 128))}: it is no name of a secret`,
    {
      hint: "Use up to 128 letters, digits, dots, dashes and underscores, beginning with a letter or an underscore.",
    },
  );
}

export function refuseSecretValue(name: string, value: string): void {
  const bytes = Buffer.byteLength(value);
  if (value !== "" && bytes <= valueBytes && value.isWellFormed()) return;
  const state = value === "" ? "its value is empty" : `its value has ${bytes} bytes or is not well-formed Unicode`;
  throw new CytoError("bad-request", `Cannot set secret ${name}: ${state}`, {
    hint: `Give it a text of at most ${valueBytes} bytes; encode binary data, for example as base64.`,
  });
}

export function missingSecret(name: string): CytoError {
  return new CytoError("missing-secret", `Cannot read secret ${name}: it is not set`, {
    hint: `Set it: cyto secret set ${name}`,
  });
}
