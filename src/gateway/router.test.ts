import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CytoError } from "../kernel/index.ts";
import { findConflicts } from "./conflict.ts";
import type { Route } from "./contract.ts";
import { parsePattern } from "./pattern.ts";
import { type Asked, createRouter } from "./router.ts";
import { routeTo } from "./trial.ts";

function ask(declared: string, changes: Partial<Asked> = {}): Asked {
  const [method, target] = declared.split(" ") as [string, string];
  const [path, query = ""] = target.split("?") as [string, string?];
  return { method, host: "shop.example", path, query, headers: {}, ...changes };
}

/** The id of the route that takes a request. */
function taken(routes: readonly Route[], declared: string, changes: Partial<Asked> = {}): string | undefined {
  return createRouter(routes).match(ask(declared, changes))?.id;
}

describe("createRouter()", () => {
  test("literal beats parameter beats rest, in whatever order they are given", () => {
    const routes = ["GET /a/*", "GET /a/{x}", "GET /a/b", "GET /a/{x}/c", "GET /a/b/{y}"].map((r) => routeTo(r));
    for (const given of [routes, routes.toReversed()]) {
      assert.equal(taken(given, "GET /a/b"), "GET /a/b");
      assert.equal(taken(given, "GET /a/bc"), "GET /a/{x}");
      assert.equal(taken(given, "GET /a/b/c"), "GET /a/b/{y}");
      assert.equal(taken(given, "GET /a/z/c"), "GET /a/{x}/c");
      assert.equal(taken(given, "GET /a/z/d"), "GET /a/*");
      assert.equal(taken(given, "GET /a"), undefined);
    }
  });

  test("a parameter is never empty; a rest may be", () => {
    assert.equal(taken([routeTo("GET /a/{x}")], "GET /a/"), undefined);
    assert.equal(taken([routeTo("GET /a/{x}/b")], "GET /a//b"), undefined);
    assert.equal(taken([routeTo("GET /a/{rest...}")], "GET /a/"), "GET /a/{rest...}");
    assert.equal(taken([routeTo("GET /{x}/b/{y}")], "GET /1/b/2"), "GET /{x}/b/{y}");
  });

  test("paths match percent-decoded, and an encoded slash parts no segments", () => {
    assert.equal(taken([routeTo("GET /café")], "GET /caf%C3%A9"), "GET /café");
    assert.equal(taken([routeTo("GET /a/{x}")], "GET /a/b%2Fc"), "GET /a/{x}");
    assert.equal(taken([routeTo("GET /v1:batch")], "GET /v1:batch"), "GET /v1:batch");
    assert.equal(taken([routeTo("GET /A")], "GET /a"), undefined);
  });

  test("the higher priority wins over the better path", () => {
    const routes = [routeTo("GET /a/b"), routeTo("GET /a/{x}", { priority: 1 }), routeTo("GET /*", { priority: -1 })];
    assert.equal(taken(routes, "GET /a/b"), "GET /a/{x}");
    assert.equal(taken(routes, "GET /z"), "GET /*");
  });

  test("an exact host beats a longer suffix beats a shorter one beats none, before the path is looked at", () => {
    const routes = [
      routeTo("GET /a", { id: "any" }),
      routeTo("GET /*", { id: "*.example", host: "*.example" }),
      routeTo("GET /*", { id: "*.shop.example", host: "*.shop.example" }),
      routeTo("GET /*", { id: "eu.shop.example", host: "EU.shop.example" }),
    ];
    const on = (host: string) => taken(routes, "GET /a", { host });
    assert.equal(on("eu.shop.example"), "eu.shop.example");
    assert.equal(on("EU.SHOP.example:8080"), "eu.shop.example");
    assert.equal(on("us.shop.example"), "*.shop.example");
    assert.equal(on("shop.example"), "*.example");
    assert.equal(on("example"), "any");
    assert.equal(on("[::1]:80"), "any");
  });

  test("a host that has no such path falls back to less particular ones", () => {
    const routes = [routeTo("GET /a", { host: "shop.example" }), routeTo("GET /b", { id: "any b" })];
    assert.equal(taken(routes, "GET /b"), "any b");
  });

  test("more query and header matches beat fewer, exact beats present, and a failed match is passed over", () => {
    const routes = [
      routeTo("GET /a/{x}", { id: "fallback" }),
      routeTo("GET /a/b", { id: "v", query: { v: true } }),
      routeTo("GET /a/b", { id: "v=2", query: { v: "2" } }),
      routeTo("GET /a/b", { id: "v+beta", query: { v: true }, headers: { "X-Beta": "yes" } }),
    ];
    assert.equal(taken(routes, "GET /a/b"), "fallback");
    assert.equal(taken(routes, "GET /a/b?v=1"), "v");
    assert.equal(taken(routes, "GET /a/b?v=2"), "v=2");
    assert.equal(taken(routes, "GET /a/b?v=2", { headers: { "x-beta": "yes" } }), "v+beta");
    assert.equal(taken(routes, "GET /a/b?v=2", { headers: { "x-beta": "no" } }), "v=2");
  });

  test("takes more routes that differ by their matches alone than the library's own limit of 31", () => {
    const routes = Array.from({ length: 100 }, (_, i) => routeTo("GET /a", { id: `v${i}`, query: { v: String(i) } }));
    assert.equal(taken(routes, "GET /a?v=77"), "v77");
    assert.equal(taken(routes, "GET /a?v=x"), undefined);
  });

  test("HEAD is answered by GET unless a route names HEAD; a route without methods takes all", () => {
    assert.equal(taken([routeTo("GET /a")], "HEAD /a"), "GET /a");
    assert.equal(taken([routeTo("GET /a"), routeTo("HEAD /a")], "HEAD /a"), "HEAD /a");
    assert.equal(taken([routeTo("GET /a", { methods: [] })], "PATCH /a"), "GET /a");
  });

  test("allowed() names the methods that would do", () => {
    const router = createRouter([routeTo("GET /a"), routeTo("DELETE /a"), routeTo("POST /b")]);
    assert.deepEqual(router.allowed(ask("PUT /a")), ["GET", "HEAD", "DELETE", "OPTIONS"]);
    assert.deepEqual(router.allowed(ask("PUT /b")), ["POST", "OPTIONS"]);
    assert.deepEqual(router.allowed(ask("PUT /c")), []);
  });

  test("refuses routes that conflict, methods that do not exist, and paths that cannot be read", () => {
    const refused = (hint: RegExp) => (error: CytoError) => error.code === "invalid-manifest" && hint.test(error.hint!);
    assert.throws(() => createRouter([routeTo("GET /a/{x}"), routeTo("GET /a/{y}")]), refused(/priority/));
    assert.throws(() => createRouter([routeTo("FETCH /a")]), refused(/Methods are GET/));
    assert.throws(() => createRouter([routeTo("GET /a/{x}.json")]), refused(/whole segment/));
  });

  test("agrees with the rules of precedence, read naively, on any routes and request", () => {
    const segment = fc.constantFrom("a", "b", "{x}", "{y}");
    const path = fc
      .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom("", "*", "{rest...}"))
      .map(([segments, rest]) => `/${[...new Set(segments), ...(rest ? [rest] : [])].join("/")}`);
    const route = fc
      .record({
        method: fc.constantFrom("GET", "POST"),
        path,
        host: fc.constantFrom(undefined, "h.test", "*.test"),
        query: fc.constantFrom({}, { q: true as const }, { q: "1" }),
        headers: fc.constantFrom({}, { h: true as const }),
        priority: fc.constantFrom(0, 0, 1),
      })
      .map(({ method, path, host, ...rest }) =>
        routeTo(`${method} ${path}`, { ...rest, ...(host === undefined ? {} : { host }) }),
      );
    const request = fc.record({
      method: fc.constantFrom("GET", "POST"),
      path: fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 4 }).map((parts) => `/${parts.join("/")}`),
      host: fc.constantFrom("h.test", "g.test", "other"),
      query: fc.constantFrom("", "q=1", "q=2"),
      headers: fc.constantFrom({}, { h: "x" }),
    });
    fc.assert(
      fc.property(fc.array(route, { maxLength: 12 }), request, (given, asked) => {
        const routes = given.filter((one, i) =>
          findConflicts([...given.slice(0, i), one]).every((c) => c.second !== one),
        );
        const expected = routes.filter((one) => takes(one, asked)).sort(inPrecedence)[0];
        assert.equal(createRouter(routes).match(asked), expected);
      }),
      { numRuns: 400 },
    );
  });
});

/** The rules once more, with nothing but comparison. */
function takes(route: Route, asked: Asked): boolean {
  const pattern = parsePattern(route.path);
  const parts = asked.path.slice(1).split("/");
  const open = pattern.at(-1)?.kind === "rest";
  if (open ? parts.length < pattern.length : parts.length !== pattern.length) return false;
  const fitting = pattern.every(
    (segment, i) =>
      segment.kind === "rest" || (segment.kind === "literal" ? segment.text === parts[i] : parts[i] !== ""),
  );
  const query = new URLSearchParams(asked.query);
  return (
    fitting &&
    route.methods.includes(asked.method) &&
    (route.host === undefined ||
      route.host === asked.host ||
      (route.host.startsWith("*") && asked.host.endsWith(route.host.slice(1)))) &&
    Object.entries(route.query).every(([name, value]) =>
      value === true ? query.has(name) : query.get(name) === value,
    ) &&
    Object.keys(route.headers).every((name) => asked.headers[name] !== undefined)
  );
}

function inPrecedence(a: Route, b: Route): number {
  const kinds = ["literal", "parameter", "rest"];
  const weigh = (route: Route): number[] => [
    -route.priority,
    route.host === undefined ? 2 : route.host.startsWith("*") ? 1 : 0,
    // Segment by segment; the same path is told apart below.
    ...[0, 1, 2, 3].map((i) => kinds.indexOf(parsePattern(route.path)[i]?.kind ?? "literal")),
    -(Object.keys(route.query).length + Object.keys(route.headers).length),
    -Object.values(route.query).filter((value) => value !== true).length,
  ];
  const [inA, inB] = [weigh(a), weigh(b)];
  const at = inA.findIndex((weight, i) => weight !== inB[i]);
  return at === -1 ? 0 : inA[at]! - inB[at]!;
}

describe("findConflicts()", () => {
  const conflict = (...routes: Route[]) => findConflicts(routes).map((found) => found.match);

  test("finds the same match in two places, parameters' names aside", () => {
    assert.deepEqual(conflict(routeTo("GET /a/{x}"), routeTo("GET /a/{y}", { service: "other" })), ["GET /a/{}"]);
    assert.deepEqual(conflict(routeTo("GET /a/*"), routeTo("GET /a/{rest...}")), ["GET /a/*"]);
    assert.deepEqual(conflict(routeTo("GET /a", { methods: [] }), routeTo("PUT /a")), ["PUT /a"]);
    assert.deepEqual(
      conflict(
        routeTo("GET /a", { host: "H.test", query: { b: "1", a: true }, headers: { "X-A": "1" } }),
        routeTo("GET /a", { host: "h.test", query: { a: true, b: "1" }, headers: { "x-a": "1" } }),
      ),
      ["GET h.test/a?a&b=1 [x-a=1]"],
    );
  });

  test("lets pass what priority, method, host, path, query or header tells apart", () => {
    const routes = [
      routeTo("GET /a"),
      routeTo("GET /a", { priority: 1 }),
      routeTo("POST /a"),
      routeTo("GET /a", { host: "h.test" }),
      routeTo("GET /{x}"),
      routeTo("GET /*"),
      routeTo("GET /a", { query: { q: true } }),
      routeTo("GET /a", { query: { q: "1" } }),
      routeTo("GET /a", { headers: { q: "1" } }),
    ];
    assert.deepEqual(conflict(...routes), []);
  });
});

describe("parsePattern()", () => {
  test("names what is wrong and what to write", () => {
    const wrong: [string, RegExp][] = [
      ["products", /begin with a slash/],
      ["/a/{rest...}/b", /not its last segment/],
      ["/a/*/b", /not its last segment/],
      ["/a/{}", /no parameter/],
      ["/a/{1x}", /no parameter/],
      ["/{x}/{x}", /twice/],
      ["/a?b=1", /character/],
      ["/a/b*", /character/],
      ["/a b", /character/],
      ["/a%20b", /character/],
    ];
    for (const [path, message] of wrong)
      assert.throws(
        () => parsePattern(path),
        (error) => error instanceof CytoError && message.test(error.message),
        path,
      );
  });
});
