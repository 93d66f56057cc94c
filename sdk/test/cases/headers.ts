import { type Cases, equal, fails, same } from "./assert.ts";

export const cases: Cases = {
  "get joins repeated values, in any case of the name"() {
    const headers = new Headers([
      ["Accept", "text/html"],
      ["ACCEPT", "application/json"],
    ]);
    equal(headers.get("accept"), "text/html, application/json");
    equal(headers.get("missing"), null);
    equal(headers.has("aCCept"), true);
  },
  "a name that ends like another is not that other"() {
    const headers = new Headers({ "x-accept": "a", accept: "b" });
    equal(headers.get("accept"), "b");
    equal(headers.get("cept"), null);
    headers.delete("accept");
    equal(headers.has("accept"), false);
  },
  "a value that looks like a header is a value"() {
    const headers = new Headers({ "x-a": "b: c", d: "x-a: y" });
    equal(headers.get("x-a"), "b: c");
    equal(headers.get("b"), null);
  },
  "set replaces all, append adds, delete removes"() {
    const headers = new Headers({ a: "1" });
    headers.append("a", "2");
    headers.append("b", "3");
    headers.set("A", "4");
    same(
      [...headers],
      [
        ["a", "4"],
        ["b", "3"],
      ],
    );
    headers.delete("a");
    same([...headers.keys()], ["b"]);
  },
  "iterates sorted, cookies apart"() {
    const headers = new Headers();
    headers.append("z", "1");
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    headers.append("a", "2");
    headers.append("z", "3");
    same(
      [...headers],
      [
        ["a", "2"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["z", "1, 3"],
      ],
    );
    same(headers.getSetCookie(), ["a=1", "b=2"]);
  },
  "iteration sees changes"() {
    const headers = new Headers({ a: "1", b: "2" });
    const seen: string[] = [];
    for (const [name] of headers) {
      seen.push(name);
      if (name === "a") headers.append("c", "3");
    }
    same(seen, ["a", "b", "c"]);
  },
  "values lose the white space round them"() {
    equal(new Headers({ a: " \t b c \r\n" }).get("a"), "b c");
    equal(new Headers({ a: "" }).get("a"), "");
  },
  async "refuses invalid names and values"() {
    for (const name of ["", "a b", "a:", "ä", "a\n"]) await fails("TypeError", () => new Headers({ [name]: "x" }));
    for (const value of ["a\nb", "a\rb", "a\0b", "ž", "日"]) await fails("TypeError", () => new Headers({ a: value }));
    await fails("TypeError", () => new Headers([["a"]] as never));
    await fails("TypeError", () => new Headers("a: b" as never));
  },
  "takes latin-1 and copies other headers"() {
    const first = new Headers({ a: "ü" });
    const second = new Headers(first);
    first.set("a", "b");
    equal(second.get("a"), "ü");
    equal(new Headers([...new Map([["k", "v"]])]).get("k"), "v");
  },
  "forEach gives value, name, headers"() {
    const headers = new Headers({ a: "1" });
    headers.forEach((value, name, self) => {
      same([value, name, self === headers], ["1", "a", true]);
    });
  },
};
