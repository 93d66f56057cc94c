import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Call, CytoError, header, type Service, systemClock } from "../../kernel/index.ts";
import type { OutgoingRequest } from "../request.ts";
import { createInvoke } from "./invoke.ts";

const clock = { ...systemClock, now: () => 1_000 };
const random = { bytes: (length: number) => new Uint8Array(length).fill(0xab) };
const ok = { status: 200, headers: [] };

describe("invoke()", () => {
  test("makes a child of the call that caused it", async () => {
    const { invoke, seen } = create();
    const parent = call({ headers: [["traceparent", "00-1-2-01"]], hops: 3 });
    const body = new Uint8Array([1]);
    const headers = [
      ["X-A", "1"],
      ["Connection", "x-b"],
      ["x-b", "2"],
      ["host", "evil"],
      ["traceparent", "forged"],
    ] as const;
    assert.equal(
      await invoke("inventory", ask("http://elsewhere:99/items?x=1#y", { method: "POST", headers, body }), parent),
      ok,
    );
    const [child] = seen;
    assert.ok(child);
    const { signal: _, ...rest } = child;
    assert.deepEqual(rest, {
      id: "id-1",
      service: "inventory",
      caller: "checkout",
      method: "POST",
      url: "http://inventory/items?x=1",
      headers: [
        ["x-a", "1"],
        ["x-request-id", "id-1"],
        ["traceparent", "00-1-2-01"],
      ],
      body,
      deadlineMs: 5_000,
      hops: 4,
    });
  });

  test("reads a path as one of the target", async () => {
    const { invoke, seen } = create();
    for (const url of ["/a/b?c", "a/b?c", "http://inventory/a/b?c", "https://u:p@other/a/b?c", "//other/a/b?c"]) {
      await invoke("inventory", ask(url), undefined);
    }
    assert.deepEqual(new Set(seen.map(({ url }) => url)), new Set(["http://inventory/a/b?c"]));
    for (const url of ["ftp://x/", "http://[", "javascript:1"]) {
      await assert.rejects(invoke("inventory", ask(url), undefined), {
        code: "bad-request",
        message: /service inventory/,
      });
    }
  });

  test("begins a chain of its own where no call is the cause", async () => {
    const { invoke, seen } = create(500);
    await invoke("inventory", ask("/"), undefined);
    assert.equal(seen[0]?.id, "ab".repeat(16));
    assert.equal(seen[0]?.deadlineMs, 1_500);
    assert.equal(seen[0]?.hops, 1);
  });

  test("refuses a service that the manifest does not list, with the nearest right word", async () => {
    const { invoke, seen } = create();
    await assert.rejects(invoke("inventroy", ask("/"), call({})), {
      code: "not-permitted",
      message: "Cannot call service inventroy: it is not in the calls of service checkout",
      hint: 'Did you mean "inventory"? Else: Add "inventroy" to services.checkout.calls in the manifest.',
    });
    await assert.rejects(invoke("mail", ask("/"), call({})), {
      hint: 'Add "mail" to services.checkout.calls in the manifest.',
    });
    await assert.rejects(invoke("toString", ask("/"), call({})), { code: "not-permitted" });
    assert.deepEqual(seen, []);
  });

  test("is aborted with its request and with its cause", async () => {
    const { invoke, seen } = create();
    const request = new AbortController();
    const parent = new AbortController();
    await invoke("inventory", ask("/", { signal: request.signal }), call({ signal: parent.signal }));
    await invoke("inventory", ask("/", { signal: request.signal }), call({ signal: new AbortController().signal }));
    const reason = new CytoError("cancelled", "Cannot go on: the caller has gone");
    parent.abort(reason);
    assert.deepEqual(
      seen.map(({ signal }) => signal.aborted),
      [true, false],
    );
    assert.equal(seen[0]?.signal.reason, reason);
    request.abort();
    assert.deepEqual(
      seen.map(({ signal }) => signal.aborted),
      [true, true],
    );
  });

  test("passes the failure of the callee on as it is", async () => {
    const failure = new CytoError("overloaded", "Cannot take the call: full");
    const invoke = createInvoke({
      service: "a",
      calls: ["b"],
      mesh: async () => Promise.reject(failure),
      clock,
      random,
    });
    await assert.rejects(invoke("b", ask("/"), undefined), (error) => error === failure);
  });

  test("keeps a guest's own trace when its cause has none", async () => {
    const { invoke, seen } = create();
    await invoke("inventory", ask("/", { headers: [["traceparent", "own"]] }), call({}));
    assert.equal(header(seen[0]?.headers ?? [], "traceparent"), "own");
  });
});

function create(timeoutMs?: number) {
  const seen: Call[] = [];
  const mesh: Service = async (child) => {
    seen.push(child);
    return ok;
  };
  const timeout = timeoutMs === undefined ? {} : { timeoutMs };
  const invoke = createInvoke({
    service: "checkout",
    calls: ["inventory", "payments"],
    mesh,
    clock,
    random,
    ...timeout,
  });
  return { invoke, seen };
}

function ask(url: string, request: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return { method: "GET", url, headers: [], signal: new AbortController().signal, ...request };
}

function call(parent: Partial<Call>): Call {
  const { signal } = new AbortController();
  return {
    id: "id-1",
    service: "checkout",
    method: "GET",
    url: "http://checkout/",
    headers: [],
    deadlineMs: 5_000,
    hops: 0,
    signal,
    ...parent,
  };
}
