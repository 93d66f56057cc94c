import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  endpointOf,
  hostOf,
  type IpAddress,
  isMapped,
  isUnicast,
  isUnspecified,
  readAddress,
  show,
  textOf,
  toEndpoint,
  toSocketAddress,
} from "./address.ts";

const of = (max: number, length: number) => fc.array(fc.nat(max), { minLength: length, maxLength: length });
const addresses: fc.Arbitrary<IpAddress> = fc.oneof(
  of(255, 4).map((val): IpAddress => ({ tag: "ipv4", val })),
  of(65_535, 8).map((val): IpAddress => ({ tag: "ipv6", val })),
  // Runs of zeros are what the short form is about.
  fc
    .array(fc.constantFrom(0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
    .map((val): IpAddress => ({ tag: "ipv6", val })),
);

describe("addresses", () => {
  test("are the same after a text was made of them", () => {
    fc.assert(fc.property(addresses, (address) => assert.deepEqual(readAddress(textOf(address)), address)));
  });

  test("have one text, however they are written", () => {
    fc.assert(
      fc.property(fc.ipV6(), (written) => {
        const text = textOf(readAddress(written)!);
        assert.equal(textOf(readAddress(text)!), text);
        assert.equal(endpointOf(written, 1).address, text);
      }),
    );
    for (const written of ["0:0:0:0:0:0:0:1", "::0001", "::1", "0::1"])
      assert.equal(textOf(readAddress(written)!), "::1");
  });

  test("cross to endpoints and back", () => {
    fc.assert(
      fc.property(addresses, fc.nat(65_535), (address, port) => {
        const endpoint = endpointOf(textOf(address), port);
        assert.deepEqual(toEndpoint(toSocketAddress(endpoint)), endpoint);
        assert.equal(endpoint.port, port);
      }),
    );
  });

  test("any other text is none", () => {
    for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::1%lo", "[::1]", ":::", "1::2::3"])
      assert.equal(readAddress(text), undefined, text);
    fc.assert(fc.property(fc.string(), (text) => void readAddress(text)));
  });

  test("of special kinds are known", () => {
    const at = (text: string) => endpointOf(text, 0);
    for (const text of ["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"])
      assert.ok(!isUnicast(at(text)), text);
    for (const text of ["223.255.255.255", "0.0.0.0", "127.0.0.1", "::1", "fe80::1"])
      assert.ok(isUnicast(at(text)), text);
    for (const text of ["::ffff:1.2.3.4", "::ffff:0:1", "::ffff:0.0.0.0"]) assert.ok(isMapped(at(text)), text);
    for (const text of ["::1", "::fffe:1:2", "1::ffff:1:2", "::ffff:1:2:3", "1.2.3.4"])
      assert.ok(!isMapped(at(text)), text);
    for (const text of ["0.0.0.0", "::"]) assert.ok(isUnspecified(at(text)), text);
    assert.equal(show(endpointOf("::1", 80)), "[::1]:80");
  });

  test("of a link have the number of its interface, and its name for the platform", () => {
    for (const [name, found] of Object.entries(networkInterfaces())) {
      for (const each of found ?? []) {
        if (each.family !== "IPv6" || each.scopeid === 0) continue;
        const endpoint = endpointOf(`${each.address}%${name}`, 1);
        assert.equal(endpoint.scopeId, each.scopeid);
        assert.equal(hostOf(endpoint), `${endpoint.address}%${name}`);
      }
    }
    assert.equal(endpointOf("fe80::1%7", 1).scopeId, 7);
  });
});
