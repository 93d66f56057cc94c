import { bytes, type Cases, equal, fails, same } from "./assert.ts";

type Source = ConstructorParameters<typeof Response>[0];

const post = (body: NonNullable<Source>, headers: Record<string, string> = {}) =>
  new Request("http://a.test/", { method: "POST", body, headers });

export const cases: Cases = {
  async "a response with text"() {
    const response = new Response("hello", { status: 201, statusText: "Made", headers: { "X-A": "b" } });
    same([response.status, response.statusText, response.ok, response.type], [201, "Made", true, "default"]);
    same(
      [...response.headers],
      [
        ["content-type", "text/plain;charset=UTF-8"],
        ["x-a", "b"],
      ],
    );
    equal(response.bodyUsed, false);
    equal(await response.text(), "hello");
    equal(response.bodyUsed, true);
    const error = await fails("TypeError", () => response.text());
    equal(error instanceof TypeError, true);
  },
  async "an empty response"() {
    const response = new Response();
    same([response.status, response.body, response.bodyUsed], [200, null, false]);
    equal(await response.text(), "");
    equal(await response.text(), "");
    equal(response.bodyUsed, false);
    equal([...response.headers].length, 0);
  },
  async "refuses impossible responses"() {
    await fails("RangeError", () => new Response("", { status: 199 }));
    await fails("RangeError", () => new Response("", { status: 600 }));
    await fails("TypeError", () => new Response("x", { status: 204 }));
    await fails("TypeError", () => new Response("", { statusText: "a\nb" }));
    await fails("TypeError", () => new Response("", { headers: { "a b": "c" } }));
    equal(new Response(null, { status: 204 }).status, 204);
  },
  async "Response.json"() {
    const response = Response.json({ a: [1, null] }, { status: 202, headers: { x: "y" } });
    same(
      [response.status, response.headers.get("content-type"), response.headers.get("x")],
      [202, "application/json", "y"],
    );
    same(await response.json(), { a: [1, null] });
    equal(Response.json(1, { headers: { "content-type": "a/b" } }).headers.get("content-type"), "a/b");
    await fails("TypeError", () => Response.json(undefined));
  },
  async "Response.redirect and Response.error"() {
    const response = Response.redirect("http://a.test/x", 303);
    same([response.status, response.headers.get("location")], [303, "http://a.test/x"]);
    await fails("RangeError", () => Response.redirect("http://a.test/", 200 as never));
    same([Response.error().type, Response.error().status], ["error", 0]);
  },
  async "every kind of body reads as every other"() {
    const kinds: [Source, string | null][] = [
      ["a€", "text/plain;charset=UTF-8"],
      [new TextEncoder().encode("a€"), null],
      [new TextEncoder().encode("a€").buffer, null],
      [new Blob(["a", "€"], { type: "x/y" }), "x/y"],
      [new Response("a€").body!, null],
    ];
    for (const [body, type] of kinds) {
      const make = () => new Response(body instanceof ReadableStream ? new Response("a€").body : body);
      equal(make().headers.get("content-type"), type);
      equal(await make().text(), "a€");
      same(await make().bytes(), bytes(0x61, 0xe2, 0x82, 0xac));
      equal((await make().arrayBuffer()).byteLength, 4);
      equal(await (await make().blob()).text(), "a€");
      equal(await new Response(make().body).text(), "a€");
    }
  },
  async "URLSearchParams as a body"() {
    const request = post(new URLSearchParams({ a: "b c" }));
    equal(request.headers.get("content-type"), "application/x-www-form-urlencoded;charset=UTF-8");
    equal((await request.formData()).get("a"), "b c");
  },
  async "bytes are copied when given"() {
    const data = bytes(1, 2);
    const response = new Response(data);
    data[0] = 9;
    same(await response.bytes(), bytes(1, 2));
  },
  async "text drops a byte order mark, json parses or refuses"() {
    equal(await new Response(bytes(0xef, 0xbb, 0xbf, 0x61)).text(), "a");
    await fails("SyntaxError", () => new Response("{").json());
    await fails("SyntaxError", () => new Response().json());
  },
  async "clone gives a second body"() {
    const response = new Response("x", { headers: { a: "b" } });
    const copy = response.clone();
    equal(await response.text(), "x");
    equal(await copy.text(), "x");
    equal(copy.headers.get("a"), "b");
    await fails("TypeError", () => response.clone());
    const streamed = new Response(new Response("yy").body);
    const split = streamed.clone();
    same([await streamed.text(), await split.text()], ["yy", "yy"]);
  },
  async "a body that is being read is not read twice"() {
    const response = new Response("x");
    const reader = response.body!.getReader();
    equal(response.bodyUsed, false);
    await fails("TypeError", () => response.text());
    await reader.read();
    equal(response.bodyUsed, true);
    const stream = new Response("y").body!;
    stream.getReader();
    await fails("TypeError", () => new Response(stream));
  },
  async "a request"() {
    const request = new Request("http://a.test/b c", { method: "post", body: "x", headers: { A: "1" } });
    same([request.method, request.url], ["POST", "http://a.test/b%20c"]);
    equal(request.headers.get("a"), "1");
    equal(request.headers.get("content-type"), "text/plain;charset=UTF-8");
    equal(request.redirect, "follow");
    equal(request.signal.aborted, false);
    equal(await request.text(), "x");
  },
  async "a request from a request"() {
    const first = post("x", { a: "1" });
    const second = new Request(first, { headers: { b: "2" } });
    same([second.method, second.headers.get("a"), second.headers.get("b")], ["POST", null, "2"]);
    equal(first.bodyUsed, true);
    equal(await second.text(), "x");
    const copy = post("y");
    const clone = copy.clone();
    same([await copy.text(), await clone.text()], ["y", "y"]);
  },
  async "a request follows its signal, and its original's"() {
    const controller = new AbortController();
    const request = new Request("http://a.test/", { signal: controller.signal });
    const second = new Request(request);
    controller.abort(new Error("enough"));
    equal(request.signal.aborted, true);
    equal(second.signal.aborted, true);
    equal((second.signal.reason as Error).message, "enough");
  },
  async "refuses impossible requests"() {
    await fails("TypeError", () => new Request("nowhere"));
    await fails("TypeError", () => new Request("http://u:p@a.test/"));
    await fails("TypeError", () => new Request("http://a.test/", { body: "x" }));
    await fails("TypeError", () => new Request("http://a.test/", { method: "a b" }));
    await fails("TypeError", () => new Request("http://a.test/", { method: "TRACE" }));
    equal(new Request("http://a.test/", { method: "patch" }).method, "patch");
  },
};
