import { bytes, type Cases, equal, fails, same } from "./assert.ts";

function counting(limit: number, onPull: (n: number) => void = () => {}): ReadableStream<Uint8Array> {
  let n = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        onPull(n);
        if (n === limit) controller.close();
        else controller.enqueue(bytes(n++));
      },
    },
    { highWaterMark: 0 },
  );
}

export const cases: Cases = {
  async "a stream as a body, read whole"() {
    same(await new Response(counting(3)).bytes(), bytes(0, 1, 2));
    same(await new Response(counting(0)).bytes(), bytes());
  },
  async "is pulled no faster than it is read"() {
    const pulls: number[] = [];
    const reader = counting(9, (n) => pulls.push(n)).getReader();
    await reader.read();
    await reader.read();
    same(pulls, [0, 1]);
  },
  async "async iteration, and leaving it cancels"() {
    let cancelled: unknown;
    const stream = new ReadableStream<number>({
      pull: (controller) => controller.enqueue(1),
      cancel: (reason) => {
        cancelled = reason ?? "left";
      },
    });
    for await (const chunk of stream as never as AsyncIterable<number>) {
      equal(chunk, 1);
      break;
    }
    equal(cancelled, "left");
  },
  async "pipeThrough and pipeTo"() {
    const double = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => controller.enqueue(bytes(...chunk, ...chunk)),
    });
    const seen: number[] = [];
    await counting(2)
      .pipeThrough(double)
      .pipeTo(new WritableStream({ write: (chunk: Uint8Array) => void seen.push(...chunk) }));
    same(seen, [0, 0, 1, 1]);
  },
  async "an error in the source reaches the reader"() {
    const stream = new ReadableStream({ pull: () => Promise.reject(new RangeError("broken")) });
    await fails("RangeError", () => new Response(stream).text());
  },
  async "a chunk that is no Uint8Array is refused in a body"() {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue("text");
        controller.close();
      },
    });
    await fails("TypeError", () => new Response(stream).text());
  },
  async "tee and ReadableStream.from"() {
    const [a, b] = counting(2).tee();
    same([await new Response(a).bytes(), await new Response(b).bytes()].map(String), ["0,1", "0,1"]);
    const from = ReadableStream.from([bytes(1), bytes(2)]) as ReadableStream<Uint8Array>;
    same(await new Response(from).bytes(), bytes(1, 2));
  },
  async "reads into the reader's own buffer"() {
    const reader = new Response("abc").body!.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(2));
    same(value, bytes(97, 98));
  },
};
