/** What the app answers over HTTP, wherever it runs. `base` is asked for once the server is up. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";

export function suite(where: string, base: () => string): void {
  const get = (path: string, init?: RequestInit) => fetch(base() + path, init);
  const post = (path: string, body: string | FormData | URLSearchParams, headers: Record<string, string> = {}) =>
    fetch(base() + path, { method: "POST", body, headers });
  const json = { "content-type": "application/json" };

  describe(`the planets app on ${where}`, () => {
    test("renders HTML, with what is inserted escaped", async () => {
      const reply = await get("/");
      assert.equal(reply.status, 200);
      assert.match(reply.headers.get("content-type") ?? "", /^text\/html/);
      assert.match(await reply.text(), /<h1>8 planets & <em>counting<\/em><\/h1>/);
    });

    test("takes parameters from the path, and only such as match", async () => {
      assert.equal(await (await get("/hello/ada")).text(), "Hello, ada!");
      assert.equal((await get("/hello/ADA1")).status, 404);
    });

    test("answers JSON, filtered by the query", async () => {
      const reply = await get("/api/planets?moons=100");
      assert.match(reply.headers.get("content-type") ?? "", /^application\/json/);
      assert.deepEqual(await reply.json(), [{ name: "Saturn", moons: 274, radiusKm: 58232 }]);
    });

    test("indents JSON when asked to", async () => {
      assert.match(await (await get("/api/planets/earth?pretty")).text(), /^{\n {2}"name": "Earth",\n/);
    });

    test("answers an HTTPException with its status and message", async () => {
      const reply = await get("/api/planets/vulcan");
      assert.equal(reply.status, 404);
      assert.match(await reply.text(), /There is no planet vulcan/);
    });

    test("answers 304 to an ETag it gave", async () => {
      const first = await get("/api/planets");
      const tag = first.headers.get("etag") ?? "";
      assert.match(tag, /^(W\/)?"[0-9a-f]+"$/);
      await first.text();
      const second = await get("/api/planets", { headers: { "if-none-match": tag } });
      assert.equal(second.status, 304);
      assert.equal(await second.text(), "");
    });

    test("answers a CORS preflight", async () => {
      const reply = await get("/api/orbits", {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "POST" },
      });
      assert.equal(reply.status, 204);
      assert.equal(reply.headers.get("access-control-allow-origin"), "https://app.example");
      assert.equal(reply.headers.get("access-control-allow-methods"), "GET,POST");
      assert.equal(reply.headers.get("access-control-max-age"), "600");
    });

    test("adds security headers and a request id", async () => {
      const reply = await get("/hello/ada");
      assert.equal(reply.headers.get("x-content-type-options"), "nosniff");
      assert.equal(reply.headers.get("x-frame-options"), "SAMEORIGIN");
      assert.match(reply.headers.get("x-request-id") ?? "", /^[\w-]{8,}$/);
    });

    test("takes JSON and validates it", async () => {
      const good = await post("/api/orbits", JSON.stringify({ distanceAu: 5.2 }), json);
      assert.equal(good.status, 201);
      assert.deepEqual(await good.json(), { distanceAu: 5.2, years: 11.858 });
      const bad = await post("/api/orbits", JSON.stringify({ distanceAu: -1 }), json);
      assert.equal(bad.status, 400);
      assert.deepEqual(await bad.json(), { error: "distanceAu must be a positive number" });
      assert.equal((await post("/api/orbits", "{ not json", json)).status, 400);
    });

    test("refuses a body above its limit", async () => {
      const reply = await post("/api/orbits", JSON.stringify({ padding: "x".repeat(2000) }), json);
      assert.equal(reply.status, 413);
      assert.deepEqual(await reply.json(), { error: "The body is too large" });
    });

    test("takes an URL-encoded form, repeated fields included", async () => {
      const form = new URLSearchParams([
        ["name", "Größe & Maß"],
        ["tag", "a"],
        ["tag", "b c"],
      ]);
      assert.deepEqual(await (await post("/form", form)).json(), { name: "Größe & Maß", tag: ["a", "b c"] });
    });

    test("takes a multipart form with a file", async () => {
      const form = new FormData();
      form.set("title", "Notes\r\non orbits");
      form.set("file", new File(["line one\nline zwei – ∞"], "notes.txt", { type: "text/plain" }));
      assert.deepEqual(await (await post("/form", form)).json(), {
        title: "Notes\r\non orbits",
        file: { name: "notes.txt", type: "text/plain", text: "line one\nline zwei – ∞" },
      });
    });

    test("reads a cookie and sets two", async () => {
      const reply = await get("/visits", { headers: { cookie: "other=1; visits=41" } });
      assert.equal(await reply.text(), "42");
      assert.deepEqual(reply.headers.getSetCookie(), [
        "visits=42; Path=/; HttpOnly; SameSite=Lax",
        "last=today; Path=/",
      ]);
    });

    test("redirects", async () => {
      const reply = await get("/moved", { redirect: "manual" });
      assert.equal(reply.status, 301);
      assert.equal(reply.headers.get("location"), "/");
    });

    test("sees every method", async () => {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        assert.equal(await (await get("/method", { method })).text(), method);
      const head = await get("/method", { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(await head.text(), "");
    });

    test("streams text as it is written", async () => {
      const reply = await get("/count/10");
      const pieces: string[] = [];
      for await (const piece of reply.body!.pipeThrough(new TextDecoderStream())) pieces.push(piece);
      assert.equal(pieces.join(""), "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
      assert.ok(pieces.length > 3, `came in ${pieces.length} pieces`);
    });

    test("streams server-sent events", async () => {
      const reply = await get("/events");
      assert.match(reply.headers.get("content-type") ?? "", /^text\/event-stream/);
      const events = (await reply.text()).trim().split("\n\n");
      assert.equal(events.length, 8);
      assert.equal(events[2], 'event: planet\ndata: {"name":"Earth","moons":1,"radiusKm":6371}\nid: 2');
    });

    test("answers the beginning of a body before its end has come", async () => {
      const pieces = ["hello ", "wörld", "!"];
      const { readable, writable } = new TransformStream<string, string>();
      const writer = writable.getWriter();
      const body = readable.pipeThrough(new TextEncoderStream());
      const asked = get("/shout", { method: "POST", body, duplex: "half" } as RequestInit);
      void writer.write(pieces[0]!);
      const reply = await asked;
      const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
      assert.equal((await reader.read()).value, "HELLO ");
      void writer.write(pieces[1]!);
      assert.equal((await reader.read()).value, "WÖRLD");
      void writer.write(pieces[2]!);
      assert.equal((await reader.read()).value, "!");
      await writer.close();
      assert.equal((await reader.read()).done, true);
    });

    test("sends a megabyte there and back", async () => {
      const text = "all work and no play ".repeat(50_000);
      assert.equal(await (await post("/shout", text)).text(), text.toUpperCase());
    });

    test("lets nobody in without the password", async () => {
      const outside = await get("/admin/secret");
      assert.equal(outside.status, 401);
      assert.match(outside.headers.get("www-authenticate") ?? "", /^Basic /);
      const wrong = await get("/admin/secret", { headers: { authorization: `Basic ${btoa("ada:byron")}` } });
      assert.equal(wrong.status, 401);
      const inside = await get("/admin/secret", { headers: { authorization: `Basic ${btoa("ada:lovelace")}` } });
      assert.equal(await inside.text(), "The answer is 42");
    });

    test("answers what is thrown with its error handler, and goes on", async () => {
      const broken = await get("/broken");
      assert.equal(broken.status, 500);
      assert.deepEqual(await broken.json(), { error: "The sun went out" });
      assert.equal((await get("/hello/ada")).status, 200);
    });

    test("answers what it does not know with its own 404", async () => {
      const reply = await get("/nowhere/at/all?x=1");
      assert.equal(reply.status, 404);
      assert.deepEqual(await reply.json(), { error: "There is nothing at /nowhere/at/all" });
    });

    test("answers a hundred at once", async () => {
      const replies = await Promise.all(Array.from({ length: 100 }, () => get("/hello/crowd").then((r) => r.text())));
      assert.deepEqual(new Set(replies), new Set(["Hello, crowd!"]));
    });
  });
}
