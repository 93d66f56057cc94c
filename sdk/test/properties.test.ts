/** The short cuts of the web APIs, compared with Node's own on generated input, inside a guest. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { URL as GuestURL } from "../src/web/url.ts";
import { buildGuest, type Guest, openGuest } from "./guest.ts";

const service = `
function parts(input, base) {
  try {
    const url = base === undefined ? new URL(input) : new URL(input, base);
    const { href, protocol, origin, host, hostname, port, pathname, search, hash, username, password } = url;
    const query = [...url.searchParams];
    return { href, protocol, origin, host, hostname, port, pathname, search, hash, username, password, query };
  } catch {
    return "refused";
  }
}
function decode({ base64, splits, fatal, ignoreBOM }) {
  const bytes = Uint8Array.fromBase64(base64);
  const decoder = new TextDecoder("utf-8", { fatal, ignoreBOM });
  let text = "";
  let at = 0;
  try {
    for (const size of splits) {
      text += decoder.decode(bytes.subarray(at, at + size), { stream: true });
      at += size;
    }
    return JSON.stringify(text + decoder.decode(bytes.subarray(at)));
  } catch {
    return "refused";
  }
}
export default {
  async fetch(request) {
    const { urls, texts, samples } = await request.json();
    if (urls) return Response.json(urls.map(([input, base]) => parts(input, base)));
    if (texts) return Response.json(texts.map((text) => new TextEncoder().encode(text).toBase64()));
    return Response.json(samples.map(decode));
  },
};`;

let guest: Guest;

before(async () => {
  guest = await openGuest(await buildGuest(service));
});

async function ask(question: object): Promise<unknown[]> {
  const answer = await guest.fetch("/", { method: "POST", body: { tag: "text", val: JSON.stringify(question) } });
  assert.equal(answer.failure?.message, undefined);
  return JSON.parse(answer.text);
}

function parts(Kind: typeof URL, input: string, base?: string): unknown {
  try {
    const url = base === undefined ? new Kind(input) : new Kind(input, base);
    const { href, protocol, origin, host, hostname, port, pathname, search, hash, username, password } = url;
    const query = [...url.searchParams];
    return { href, protocol, origin, host, hostname, port, pathname, search, hash, username, password, query };
  } catch {
    return "refused";
  }
}

const label = fc.oneof(
  fc.constantFrom(
    "a",
    "localhost",
    "example",
    "EXAMPLE",
    "a-b",
    "x_y",
    "xn--bcher-kva",
    "1",
    "0x1f",
    "256",
    "127",
    "",
    "a%62",
  ),
  fc.stringMatching(/^[a-z0-9-]{1,6}$/),
);
const host = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  fc.constantFrom("127.0.0.1", "10.0.0.256", "1.2.3", "[::1]", "u:p@h.test", "bücher.test"),
);
const port = fc.oneof(
  fc.constant(""),
  fc.constantFrom(":", ":80", ":443", ":8080", ":08", ":65535", ":65536", ":0", ":9"),
);
const segment = fc.oneof(
  fc.constantFrom(
    ".",
    "..",
    "%2e",
    "%2E.",
    ".a",
    "a.",
    "a%20b",
    "%",
    "%zz",
    "a b",
    "ü",
    "a|b",
    "a^b",
    "a\\b",
    ";x=1",
    "@",
    "a'b",
    "[x]",
    '"',
    "<",
    "`",
    "{",
    "\t",
  ),
  fc.stringMatching(/^[\w.~!$&()*+,;=:@-]{0,8}$/),
);
const path = fc
  .array(segment, { maxLength: 4 })
  .map((segments) => (segments.length > 0 ? `/${segments.join("/")}` : ""));
const tail = (mark: string) =>
  fc.oneof(
    fc.constant(""),
    fc.stringMatching(/^[ -~]{0,10}$/).map((text) => mark + text),
  );
const pieces = (...given: fc.Arbitrary<string>[]) => fc.tuple(...given).map((all) => all.join(""));
const wild = pieces(
  fc.constantFrom("http://", "https://", "HTTP://", "http:/", "http:", "ftp://", "ws://"),
  host,
  port,
  path,
  tail("?"),
  tail("#"),
);
/** Nearly what the short cut takes: one thing, at most, is out of order. */
const nearly = fc.oneof(
  pieces(fc.constantFrom("http://", "https://"), host, fc.constant("/a")),
  pieces(
    fc.constantFrom("http://", "https://"),
    fc.constantFrom("a.B.c", "A.b", "a.1.b", "b.xn--a", "1a", "a.1a"),
    fc.constant("/"),
  ),
  pieces(fc.constantFrom("http://", "https://"), fc.constant("localhost"), port, fc.constantFrom("/", "", "?a")),
  pieces(fc.constant("http://localhost"), path),
  pieces(fc.constant("https://a.test/b"), tail("?")),
  pieces(fc.constant("https://a.test/b"), tail("#")),
);
const address = fc.oneof({ weight: 2, arbitrary: nearly }, { weight: 1, arbitrary: wild });
const relative = pieces(path, tail("?"), tail("#"));
const question = fc.oneof(
  fc.tuple(address),
  fc.tuple(relative, address),
  fc.tuple(fc.constantFrom("//b.test/x", "../y", "z", "/a//b", "?q", "#h", ""), address),
);

test("URL answers as Node's does, whichever road it takes", () => {
  fc.assert(
    fc.property(question, ([input, base]) => {
      assert.deepEqual(parts(GuestURL as unknown as typeof URL, input, base), parts(URL, input, base));
    }),
    { numRuns: 2000 },
  );
});

test("URL answers as Node's does inside a guest", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(question, { minLength: 50, maxLength: 100 }), async (urls) => {
      const answers = await ask({ urls });
      for (const [index, [input, base]] of urls.entries()) {
        assert.deepEqual(answers[index], parts(URL, input, base), JSON.stringify([input, base]));
      }
    }),
    { numRuns: 15 },
  );
});

test("TextEncoder answers as Node's does", async () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.nat(0xffff).map((code) => String.fromCharCode(code)),
      fc.string({ unit: "binary" }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 20 }), async (texts) => {
      const expected = texts.map((sample) => Buffer.from(new TextEncoder().encode(sample)).toString("base64"));
      assert.deepEqual(await ask({ texts }), expected);
    }),
    { numRuns: 20 },
  );
});

test("TextDecoder answers as Node's does, split anywhere", async () => {
  // Bytes that make and break sequences, more often than chance would.
  const byte = fc.oneof(
    fc.nat(255),
    fc.constantFrom(0x61, 0x80, 0xbf, 0xc2, 0xe0, 0xa0, 0xed, 0x9f, 0xf0, 0x90, 0xf4, 0x8f, 0xef, 0xbb),
  );
  const piece = fc.oneof(
    fc.array(byte, { maxLength: 6 }),
    fc.string({ unit: "binary" }).map((text) => [...Buffer.from(text)]),
  );
  const sample = fc.record({
    data: fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.flat()),
    splits: fc.array(fc.nat(6), { maxLength: 6 }),
    fatal: fc.boolean(),
    ignoreBOM: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(sample, { minLength: 30 }), async (given) => {
      const samples = given.map(({ data, ...rest }) => ({ ...rest, base64: Buffer.from(data).toString("base64") }));
      const answers = await ask({ samples });
      for (const [index, { data, splits, fatal, ignoreBOM }] of given.entries()) {
        assert.equal(answers[index], decodeOnNode(data, splits, { fatal, ignoreBOM }), JSON.stringify(given[index]));
      }
    }),
    { numRuns: 20 },
  );
});

function decodeOnNode(data: number[], splits: number[], options: { fatal: boolean; ignoreBOM: boolean }): string {
  const bytes = new Uint8Array(data);
  const decoder = new TextDecoder("utf-8", options);
  let text = "";
  let at = 0;
  try {
    for (const size of splits) {
      text += decoder.decode(bytes.subarray(at, at + size), { stream: true });
      at += size;
    }
    return JSON.stringify(text + decoder.decode(bytes.subarray(at)));
  } catch {
    return "refused";
  }
}
