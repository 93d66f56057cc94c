import { bytes, type Cases, equal, fails, same } from "./assert.ts";

export const cases: Cases = {
  "encodes UTF-8"() {
    const encoder = new TextEncoder();
    same(encoder.encode("aé€😀"), bytes(0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80));
    same(encoder.encode(), bytes());
    same(encoder.encode("\ud800x"), bytes(0xef, 0xbf, 0xbd, 0x78));
    same(encoder.encode("%41\0\x7f"), bytes(0x25, 0x34, 0x31, 0, 0x7f));
    equal(encoder.encoding, "utf-8");
  },
  "encodeInto stops before what does not fit"() {
    const target = new Uint8Array(4);
    same(new TextEncoder().encodeInto("a€😀", target), { read: 2, written: 4 });
    same(target, bytes(0x61, 0xe2, 0x82, 0xac));
    same(new TextEncoder().encodeInto("ab", target), { read: 2, written: 2 });
  },
  "decodes UTF-8, without the byte order mark"() {
    const decoder = new TextDecoder();
    equal(decoder.decode(bytes(0xef, 0xbb, 0xbf, 0x61, 0xe2, 0x82, 0xac)), "a€");
    equal(new TextDecoder("utf8", { ignoreBOM: true }).decode(bytes(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
    equal(decoder.decode(), "");
    equal(decoder.decode(bytes(0x62).buffer), "b");
    equal(decoder.decode(new DataView(bytes(1, 0x63, 2).buffer, 1, 1)), "c");
  },
  async "replaces malformed bytes, or refuses them"() {
    const samples: [Uint8Array, string][] = [
      [bytes(0xff), "\ufffd"],
      [bytes(0x61, 0xc3), "a\ufffd"],
      [bytes(0xe2, 0x82, 0x61), "\ufffda"],
      [bytes(0xf0, 0x9f, 0x98), "\ufffd"],
      [bytes(0xc0, 0x80), "\ufffd\ufffd"],
      [bytes(0xed, 0xa0, 0x80), "\ufffd\ufffd\ufffd"],
      [bytes(0xf4, 0x90, 0x80, 0x80), "\ufffd\ufffd\ufffd\ufffd"],
      [bytes(0xe0, 0x80, 0xaf, 0x62), "\ufffd\ufffd\ufffdb"],
    ];
    for (const [input, text] of samples) {
      equal(new TextDecoder().decode(input), text);
      await fails("TypeError", () => new TextDecoder("utf-8", { fatal: true }).decode(input));
    }
  },
  "decodes a stream split anywhere"() {
    const text = "\ufeffaé€😀z";
    const all = new TextEncoder().encode(text);
    for (let at = 0; at <= all.length; at++) {
      const decoder = new TextDecoder();
      const first = decoder.decode(all.subarray(0, at), { stream: true });
      equal(first + decoder.decode(all.subarray(at)), text.slice(1));
    }
    const decoder = new TextDecoder();
    equal(decoder.decode(bytes(0xe2), { stream: true }) + decoder.decode(bytes(0x61), { stream: true }), "\ufffda");
    equal(decoder.decode(bytes(0xf0, 0x9f), { stream: true }) + decoder.decode(), "\ufffd");
  },
  "decodes UTF-16 and latin-1"() {
    equal(new TextDecoder("utf-16le").decode(bytes(0x61, 0, 0x3d, 0xd8, 0, 0xde)), "a😀");
    equal(new TextDecoder("utf-16be").decode(bytes(0, 0x61)), "a");
    equal(new TextDecoder("utf-16le").decode(bytes(0x61, 0, 0x62)), "a\ufffd");
    const split = new TextDecoder("utf-16le");
    equal(split.decode(bytes(0x3d, 0xd8, 0), { stream: true }) + split.decode(bytes(0xde)), "😀");
    equal(new TextDecoder("latin1").decode(bytes(0xe9, 0x80, 0x41)), "é€A");
    equal(new TextDecoder(" ASCII ").encoding, "windows-1252");
  },
  async "refuses an unknown encoding"() {
    await fails("RangeError", () => new TextDecoder("klingon"));
  },
  async "text streams keep split characters together"() {
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes(0xe2, 0x82));
        controller.enqueue(bytes(0xac, 0x61));
        controller.close();
      },
    });
    let text = "";
    const decoded = source.pipeThrough(new TextDecoderStream() as never) as ReadableStream<string>;
    for await (const chunk of decoded as never as AsyncIterable<string>) text += chunk;
    equal(text, "€a");
    const parts = new ReadableStream<string>({
      start(controller) {
        controller.enqueue("a\ud83d");
        controller.enqueue("\ude00");
        controller.close();
      },
    });
    const encoded = parts.pipeThrough(new TextEncoderStream() as never) as ReadableStream<Uint8Array>;
    same(await new Response(encoded as never).bytes(), bytes(0x61, 0xf0, 0x9f, 0x98, 0x80));
  },
  async "atob and btoa"() {
    equal(btoa("hé"), "aOk=");
    equal(atob(" aO k= "), "hé");
    await fails("InvalidCharacterError", () => btoa("€"));
    await fails("InvalidCharacterError", () => atob("a"));
  },
};
