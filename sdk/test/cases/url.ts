import { type Cases, equal, fails, same } from "./assert.ts";

export const cases: Cases = {
  "takes an ordinary URL apart"() {
    const url = new URL("http://localhost:8080/products/abc-1?x=1&y=a%20b#top");
    equal(url.href, "http://localhost:8080/products/abc-1?x=1&y=a%20b#top");
    equal(url.protocol, "http:");
    equal(url.origin, "http://localhost:8080");
    equal(url.host, "localhost:8080");
    equal(url.hostname, "localhost");
    equal(url.port, "8080");
    equal(url.pathname, "/products/abc-1");
    equal(url.search, "?x=1&y=a%20b");
    equal(url.hash, "#top");
    equal(url.searchParams.get("y"), "a b");
    equal(String(url), url.href);
    equal(JSON.stringify({ url }), `{"url":"${url.href}"}`);
  },
  "empty query and fragment are empty"() {
    const url = new URL("https://a.test/p?#");
    equal(url.search, "");
    equal(url.hash, "");
    equal(url.href, "https://a.test/p?#");
    equal(new URL("https://a.test/#a?b").search, "");
    equal(new URL("https://a.test/#a?b").pathname, "/");
  },
  "puts right what is not as the standard writes it"() {
    equal(new URL("HTTP://EXAMPLE.com:80/a/../b c").href, "http://example.com/b%20c");
    equal(new URL("https://example.com:443").href, "https://example.com/");
    equal(new URL("http://a.test/%2e%2E/x/./y").href, "http://a.test/x/y");
    equal(new URL("http://0x7f.1/").hostname, "127.0.0.1");
    equal(new URL("http://bücher.test/ü").href, "http://xn--bcher-kva.test/%C3%BC");
    equal(new URL("http://[::1]:3000/").host, "[::1]:3000");
    equal(new URL("http://u:p@h.test/").username, "u");
    equal(new URL("mailto:a@b.test").pathname, "a@b.test");
    equal(new URL("data:text/plain,hi").origin, "null");
  },
  "resolves against a base"() {
    equal(new URL("/x?y", "http://a.test/b/c").href, "http://a.test/x?y");
    equal(new URL("x", "http://a.test/b/c").href, "http://a.test/b/x");
    equal(new URL("../x", "http://a.test/b/c").href, "http://a.test/x");
    equal(new URL("//b.test/", "https://a.test/").href, "https://b.test/");
    equal(new URL("?q", new URL("http://a.test/b#c")).href, "http://a.test/b?q");
    equal(new URL("http://b.test/", "http://a.test/").href, "http://b.test/");
    equal(new URL("/../x", "http://a.test/").href, "http://a.test/x");
  },
  async "refuses what is no URL"() {
    for (const text of ["", "/a", "http://", "http://a b/", "http://a:99999/", "http://%41%zz/"]) {
      await fails("TypeError", () => new URL(text));
      equal(URL.canParse(text), false);
      equal(URL.parse(text), null);
    }
    await fails("TypeError", () => new URL("/x", "nothing"));
    equal(URL.parse("http://a.test")?.href, "http://a.test/");
  },
  "can be changed"() {
    const url = new URL("http://a.test/b");
    url.protocol = "https";
    url.host = "c.test:81";
    url.pathname = "/d e";
    url.search = "f=g h";
    url.hash = "i";
    url.username = "u";
    equal(url.href, "https://u@c.test:81/d%20e?f=g%20h#i");
    url.port = "";
    url.href = "http://x.test/";
    equal(url.href, "http://x.test/");
  },
  "searchParams and search follow each other"() {
    const url = new URL("http://a.test/?a=1&b=2");
    const params = url.searchParams;
    params.append("c", "3 4");
    equal(url.href, "http://a.test/?a=1&b=2&c=3+4");
    params.delete("a");
    params.set("b", "ä");
    equal(url.search, "?b=%C3%A4&c=3+4");
    url.search = "?z=1";
    same([...params], [["z", "1"]]);
    equal(url.searchParams, params);
    url.href = "http://b.test/?q=r&q=s";
    same(
      [...params],
      [
        ["q", "r"],
        ["q", "s"],
      ],
    );
    params.delete("q");
    equal(url.href, "http://b.test/");
    equal(params instanceof URLSearchParams, true);
    equal(params.constructor, URLSearchParams);
  },
  "URLSearchParams parses and writes"() {
    const params = new URLSearchParams("?a=1&a=2&b=%E2%82%AC+x&c&=d");
    same(params.getAll("a"), ["1", "2"]);
    equal(params.get("b"), "€ x");
    equal(params.get("c"), "");
    equal(params.get(""), "d");
    equal(params.get("nope"), null);
    equal(params.has("a", "2"), true);
    equal(params.size, 5);
    params.sort();
    equal(params.toString(), "=d&a=1&a=2&b=%E2%82%AC+x&c=");
    equal(new URLSearchParams({ a: "b c", d: "e&f" }).toString(), "a=b+c&d=e%26f");
    equal(
      new URLSearchParams([
        ["x", "1"],
        ["y", "2"],
      ]).toString(),
      "x=1&y=2",
    );
    equal(new URLSearchParams("a=%zz%FF").get("a"), "%zz\ufffd");
  },
};
