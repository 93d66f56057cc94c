import { bytes, type Cases, equal, fails, same } from "./assert.ts";

const multipart = (text: string, boundary = "b") =>
  new Response(text.replaceAll("\n", "\r\n"), {
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  });

export const cases: Cases = {
  "append, set, get, getAll, has, delete"() {
    const form = new FormData();
    form.append("a", "1");
    form.append("a", "2");
    form.append("b", "3");
    same(form.getAll("a"), ["1", "2"]);
    form.set("a", "4");
    same(
      [...form],
      [
        ["a", "4"],
        ["b", "3"],
      ],
    );
    form.delete("b");
    same([form.has("b"), form.get("b")], [false, null]);
  },
  "a blob becomes a file"() {
    const form = new FormData();
    form.append("f", new Blob(["x"], { type: "a/b" }));
    form.append("g", new File(["y"], "y.txt"), "z.txt");
    const [first, second] = [form.get("f") as File, form.get("g") as File];
    same([first.name, first.type, first.size], ["blob", "a/b", 1]);
    equal(second.name, "z.txt");
    equal(first instanceof File, true);
  },
  async "goes out as multipart and comes back"() {
    const form = new FormData();
    form.append("text", "line\nbreak ü");
    form.append('quo"te\r\n', "v");
    form.append("file", new File([bytes(0, 255, 13, 10, 45, 45)], 'n"ä.bin', { type: "x/y" }));
    form.append("empty", "");
    const response = new Response(form);
    equal(/^multipart\/form-data; boundary=\S+$/.test(response.headers.get("content-type")!), true);
    const back = await response.formData();
    same([...back.keys()], ["text", 'quo"te\r\n', "file", "empty"]);
    equal(back.get("text"), "line\r\nbreak ü");
    const file = back.get("file") as File;
    same([file.name, file.type], ['n"ä.bin', "x/y"]);
    same(await file.bytes(), bytes(0, 255, 13, 10, 45, 45));
    equal(back.get("empty"), "");
  },
  async "reads what other senders write"() {
    const form = await multipart(
      '--b\nContent-Disposition: form-data; name="a"\n\n1\n--b\ncontent-type: text/csv\ncontent-disposition: form-data; name="f"; filename="x.csv"\n\np,q\n\n--b--\n',
    ).formData();
    equal(form.get("a"), "1");
    const file = form.get("f") as File;
    same([file.name, file.type, await file.text()], ["x.csv", "text/csv", "p,q\r\n"]);
    const quoted = multipart('--x y\nContent-Disposition: form-data; name="a"\n\n1\n--x y--', '"x y"');
    equal((await quoted.formData()).get("a"), "1");
  },
  async "refuses broken forms"() {
    await fails("TypeError", () => multipart("nothing of the kind").formData());
    await fails("TypeError", () => multipart('--b\nContent-Disposition: form-data; name="a"\n\n1').formData());
    await fails("TypeError", () => multipart("--b\nContent-Disposition: attachment\n\n1\n--b--").formData());
    await fails("TypeError", () => new Response("a=b").formData());
    await fails("TypeError", () =>
      new Response("x", { headers: { "content-type": "multipart/form-data" } }).formData(),
    );
  },
  async "reads urlencoded"() {
    const response = new Response("a=1&a=2&b=%E2%82%AC+x&c", {
      headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
    });
    const form = await response.formData();
    same(
      [...form],
      [
        ["a", "1"],
        ["a", "2"],
        ["b", "€ x"],
        ["c", ""],
      ],
    );
  },
  async "Blob and File"() {
    const blob = new Blob(["ab", bytes(99), new Blob(["d"])], { type: "Text/Plain" });
    same([blob.size, blob.type, await blob.text()], [4, "text/plain", "abcd"]);
    equal(await blob.slice(1, -1).text(), "bc");
    equal(await blob.slice(-2, 99, "x/y").text(), "cd");
    equal(blob.slice(3, 1).size, 0);
    equal(await new Response(blob.stream()).text(), "abcd");
    const file = new File(["x"], "n", { lastModified: 5, type: "a/b" });
    same([file.name, file.lastModified, file.type, file.size], ["n", 5, "a/b", 1]);
    await fails("TypeError", () => new Blob("x" as never));
  },
};
