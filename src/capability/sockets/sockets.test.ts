import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readSocketRule } from "./rule.ts";
import { createSocketAccess, readListen, readSocketEgress } from "./sockets.ts";

function access(egress: readonly string[], listen: readonly string[] = []) {
  return createSocketAccess({ service: "shop", egress, listen, sockets: 8 });
}

/** `tcp://10.0.0.1:80` as its parts. */
function parts(written: string): ["tcp" | "udp", string, number] {
  const [, protocol, address, port] = /^(tcp|udp):\/\/\[?([^\]]*?)\]?:(\d+)$/.exec(written)!;
  return [protocol as "tcp" | "udp", address!, Number(port)];
}

describe("connect()", () => {
  const cases: [entry: string, permitted: string[], refused: string[]][] = [
    [
      "tcp://10.1.2.3:5432",
      ["tcp://10.1.2.3:5432"],
      ["udp://10.1.2.3:5432", "tcp://10.1.2.3:5433", "tcp://10.1.2.4:5432", "tcp://[::ffff:a01:203]:5432"],
    ],
    ["udp://10.0.0.0/8:53", ["udp://10.255.0.1:53"], ["udp://11.0.0.1:53", "tcp://10.0.0.1:53"]],
    ["tcp://[fd00::/8]:5432", ["tcp://[fd12::1]:5432"], ["tcp://[fc00::1]:5432", "tcp://[2001:db8::1]:5432"]],
    ["tcp://[2001:db8::1]:443", ["tcp://[2001:db8::1]:443"], ["tcp://[2001:db8::2]:443"]],
    ["tcp://203.0.113.7:8000-8099", ["tcp://203.0.113.7:8000", "tcp://203.0.113.7:8099"], ["tcp://203.0.113.7:8100"]],
    ["tcp://203.0.113.7:*", ["tcp://203.0.113.7:1", "tcp://203.0.113.7:65535"], []],
    ["tcp://127.0.0.1:6379", ["tcp://127.0.0.1:6379"], ["tcp://127.0.0.2:6379"]],
    // The internet is no machine of one's own.
    [
      "tcp://0.0.0.0/0:443",
      ["tcp://1.1.1.1:443", "tcp://203.0.113.7:443"],
      [
        ...["10.0.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"],
        ...["0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1"],
      ].map((address) => `tcp://${address}:443`),
    ],
    [
      "tcp://[::/0]:443",
      ["tcp://[2606:4700::1111]:443"],
      ["::1", "::", "fd00::1", "fe80::1", "ff02::1", "64:ff9b::a00:1", "2002:a00:1::", "::ffff:a00:1"].map(
        (address) => `tcp://[${address}]:443`,
      ),
    ],
    // A network that is wider than a private one has not named it; one inside it has.
    ["tcp://172.0.0.0/8:80", ["tcp://172.32.0.1:80"], ["tcp://172.20.0.1:80"]],
    ["tcp://172.20.0.0/16:80", ["tcp://172.20.0.1:80"], ["tcp://172.21.0.1:80"]],
  ];
  for (const [entry, permitted, refused] of cases)
    test(`"${entry}" permits what it says and nothing else`, () => {
      const granted = access([entry]);
      for (const to of permitted) assert.equal(granted.connect(...parts(to)), undefined, to);
      for (const to of refused) assert.match(granted.connect(...parts(to)) ?? "permitted", /not permitted; add/, to);
    });

  test("names the entry that would permit it", () => {
    assert.equal(
      access([]).connect("tcp", "fd00::1", 5432),
      'not permitted; add "tcp://[fd00::1]:5432" to services.shop.egress',
    );
  });

  test("nothing is permitted by default, nor by entries for HTTP", () => {
    const granted = access(["10.0.0.1", "10.0.0.1:80", "http://10.0.0.1", "example.com"]);
    fc.assert(
      fc.property(fc.constantFrom("tcp" as const, "udp" as const), fc.ipV4(), fc.nat(65_535), (protocol, at, port) => {
        assert.ok(granted.connect(protocol, at, port));
        assert.ok(granted.listen(protocol, at, port));
        assert.ok(granted.bind(protocol, at, port));
      }),
    );
    assert.ok(granted.resolve("example.com"));
  });

  test("every address that is listed is permitted, and with it no other", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.nat(65_535), (listed, other, port) => {
        const granted = access([`tcp://${listed}:${port}`]);
        assert.equal(granted.connect("tcp", listed, port), undefined);
        assert.equal(granted.connect("tcp", other, port) === undefined, other === listed);
        assert.ok(granted.connect("tcp", listed, (port + 1) % 65_536));
      }),
    );
  });
});

describe("resolve()", () => {
  test("what a listed name resolves to can be reached, on its ports alone, private or not", () => {
    const granted = access(["tcp://db.internal:5432", "udp://other.test:53"]);
    assert.equal(granted.resolve("db.internal"), undefined);
    assert.ok(granted.connect("tcp", "10.0.0.7", 5432), "not before it was looked up");
    granted.resolved("db.internal", ["10.0.0.7", "fd00::7"]);
    assert.equal(granted.connect("tcp", "10.0.0.7", 5432), undefined);
    assert.equal(granted.connect("tcp", "fd00::7", 5432), undefined);
    for (const to of ["tcp://10.0.0.7:22", "udp://10.0.0.7:5432", "udp://10.0.0.7:53", "tcp://10.0.0.8:5432"])
      assert.ok(granted.connect(...parts(to)), to);
  });

  test("a name that is not listed is not looked up, whatever addresses are", () => {
    const granted = access(["tcp://0.0.0.0/0:443", "tcp://*.example.com:443"]);
    for (const name of ["evil.test", "example.com", "xexample.com", "example.com.evil.test"])
      assert.match(granted.resolve(name) ?? "", /add "tcp:\/\/.*:<port>" to services\.shop\.egress/, name);
    assert.equal(granted.resolve("a.b.example.com"), undefined);
  });

  test("what others resolve gives nothing", () => {
    const granted = access(["tcp://db.internal:5432"]);
    granted.resolved("evil.test", ["10.0.0.7"]);
    assert.ok(granted.connect("tcp", "10.0.0.7", 5432));
  });

  test("names are compared in punycode, without regard to case", () => {
    const granted = access(["tcp://Bücher.example:443"]);
    assert.equal(granted.resolve("xn--bcher-kva.example"), undefined);
  });

  test("remembers the latest addresses of a name, and not without end", () => {
    const granted = access(["tcp://db.internal:5432"]);
    for (let index = 0; index < 1000; index++) granted.resolved("db.internal", [`10.0.${index >> 8}.${index & 255}`]);
    assert.ok(granted.connect("tcp", "10.0.0.0", 5432));
    assert.equal(granted.connect("tcp", "10.0.3.231", 5432), undefined);
  });
});

describe("listen() and bind()", () => {
  test("an address permits itself, the unspecified one every address of its family", () => {
    const granted = access([], ["tcp://127.0.0.1:8000-8001", "tcp://0.0.0.0:9000", "udp://[::]:53", "tcp://[::1]:0"]);
    for (const at of [
      "tcp://127.0.0.1:8001",
      "tcp://0.0.0.0:9000",
      "tcp://10.0.0.1:9000",
      "udp://[fd00::1]:53",
      "tcp://[::1]:0",
    ])
      for (const ask of [granted.listen, granted.bind]) assert.equal(ask(...parts(at)), undefined, at);
    for (const at of [
      "tcp://127.0.0.1:8002",
      "tcp://0.0.0.0:8000",
      "tcp://[::1]:9000",
      "udp://0.0.0.0:53",
      "tcp://127.0.0.1:0",
    ])
      for (const ask of [granted.listen, granted.bind])
        assert.match(ask(...parts(at)) ?? "permitted", /to services\.shop\.listen$/, at);
  });

  test("who may send may have a free port to do it from, and is not reached there", () => {
    const granted = access(["udp://10.0.0.1:53"]);
    assert.equal(granted.bind("udp", "0.0.0.0", 0), undefined);
    assert.ok(granted.bind("tcp", "0.0.0.0", 0));
    assert.ok(granted.bind("udp", "0.0.0.0", 5353));
    assert.ok(granted.listen("udp", "0.0.0.0", 0));
  });
});

describe("readSocketEgress() and readListen()", () => {
  for (const entry of [
    ...["tcp://", "tcp://x", "tcp://x:", "tcp://:80", "tcp://*:80", "tcp://*.:80", "tcp://*.*.com:80", "tcp://x:80/y"],
    ...[
      "tcp://x:99999",
      "tcp://x:9-1",
      "tcp://a b:80",
      "udp://u@x:80",
      "tcp://10.0.0.0/33:80",
      "tcp://10.0.0.0/8/8:80",
    ],
    ...[
      "tcp://[::/129]:80",
      "tcp://[10.0.0.1]:80",
      "tcp://[::1%lo]:80",
      "tcp://::1:80",
      "tcp://1.2.3:80",
      "tcp://x/8:80",
    ],
    ...["tcp://10.0.0.0/:80", "tcp:x:80"],
  ]) {
    test(`refuses "${entry}" by its place`, () => {
      assert.throws(() => readSocketEgress("shop", ["example.com", entry]), {
        code: "invalid-manifest",
        message: /services\.shop\.egress\[1\]/,
      });
      assert.throws(() => readListen("shop", [entry]), {
        code: "invalid-manifest",
        message: /services\.shop\.listen\[0\]/,
      });
    });
  }

  test("nothing can be reached by a name of others", () => {
    assert.throws(() => readListen("shop", ["tcp://localhost:80"]), { code: "invalid-manifest", hint: /0\.0\.0\.0/ });
  });

  test("any text is read or refused", () => {
    fc.assert(fc.property(fc.string(), fc.string(), (host, port) => void readSocketRule(`tcp://${host}:${port}`)));
  });
});
