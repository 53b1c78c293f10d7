import assert from "node:assert/strict";
import { addressKey, parseRange, TrustedProxies } from "../../security/addresses.ts";

function proxies(...ranges: string[]): TrustedProxies {
  return new TrustedProxies(ranges.map((range) => parseRange(range) ?? assert.fail(range)));
}

function caller(trusted: TrustedProxies, peer: string, headers: Record<string, string>): string {
  return trusted.callerOf(new Headers(headers), peer);
}

Deno.test("An IPv6 /64 is one address, and an IPv4 address is the same however it is written", () => {
  const keys: [string, string][] = [
    ["203.0.113.9", "203.0.113.9"],
    ["203.0.113.9:4711", "203.0.113.9"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["[::FFFF:cb00:7109]:443", "203.0.113.9"],
    ["64:ff9b::203.0.113.9", "203.0.113.9"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::1", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2::1]:8080", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80::/64"],
    ["::1", "::/64"],
    // Prefixes are unchanged, and so is text that is no address.
    ["2001:db8:1:2::/64", "2001:db8:1:2::/64"],
    ["local", "local"],
    ["0x7f.1", "0x7f.1"],
    ["010.0.0.1", "010.0.0.1"],
  ];
  for (const [text, key] of keys) assert.equal(addressKey(text), key, text);
  assert.notEqual(addressKey("2001:db8:1:2::1"), addressKey("2001:db8:1:3::1"));
});

Deno.test("A range is an address, or has a valid prefix length", () => {
  for (const range of ["127.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8", "::ffff:10.0.0.0/104"]) {
    assert.ok(parseRange(range), range);
  }
  for (
    const range of [
      "",
      "10/8",
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.1:80",
      "[::1]",
      "proxy",
      "*",
      "10.0.0.0/-1",
    ]
  ) {
    assert.equal(parseRange(range), undefined, range);
  }
  assert.ok(proxies("::ffff:10.0.0.0/104").trusts("10.1.2.3"));
  assert.ok(proxies("10.0.0.0/8").trusts("::ffff:10.1.2.3"));
  assert.ok(!proxies("::/0").trusts("10.1.2.3"));
});

Deno.test("Headers of proxies are trusted only from trusted proxies", () => {
  const headers = { "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https" };
  assert.equal(caller(proxies(), "127.0.0.1", headers), "127.0.0.1");
  assert.equal(caller(proxies("127.0.0.1"), "198.51.100.1", headers), "198.51.100.1");
  assert.equal(caller(proxies("127.0.0.1"), "127.0.0.1", headers), "203.0.113.9");
  assert.equal(caller(proxies("127.0.0.1"), "::ffff:127.0.0.1", headers), "203.0.113.9");
  assert.equal(caller(proxies("127.0.0.1"), "127.0.0.1", {}), "127.0.0.1");
  const proxied = new Headers(headers);
  assert.deepEqual(proxies("127.0.0.1").origin(proxied, "127.0.0.1"), { address: "203.0.113.9", secure: true });
  assert.deepEqual(proxies("127.0.0.1").origin(proxied, "127.0.0.2"), { address: "127.0.0.2", secure: false });
  assert.equal(new TrustedProxies([], "https://rookery.test").isSecure(new Headers(), "127.0.0.1"), true);
});

Deno.test("X-Forwarded-For is read from the right, up to the first address that is no trusted proxy", () => {
  const trusted = proxies("127.0.0.1", "10.0.0.0/8", "fd00::/8");
  const walks: [string, string][] = [
    ["203.0.113.9", "203.0.113.9"],
    ["1.1.1.1, 203.0.113.9", "203.0.113.9"],
    ["203.0.113.9,10.0.0.1, 10.0.0.2", "203.0.113.9"],
    ["203.0.113.9, fd00::1", "203.0.113.9"],
    ["2001:db8::1, 10.0.0.1", "2001:db8::1"],
    ["[2001:db8::1]:443, 10.0.0.1:80", "2001:db8::1"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["10.0.0.1, 10.0.0.2", "10.0.0.1"],
    // An entry that cannot be parsed ends the walk.
    ["203.0.113.9, unknown", "127.0.0.1"],
    ["203.0.113.9, unknown, 10.0.0.1", "10.0.0.1"],
    ["203.0.113.9,", "127.0.0.1"],
    ["", "127.0.0.1"],
    ["203.0.113.999", "127.0.0.1"],
    [`${"203.0.113.9, ".repeat(400)}203.0.113.9`, "127.0.0.1"],
  ];
  for (const [header, address] of walks) {
    assert.equal(caller(trusted, "127.0.0.1", { "x-forwarded-for": header }), address, header.slice(0, 60));
  }
});

Deno.test("Forwarded is read the same way", () => {
  const trusted = proxies("127.0.0.1", "10.0.0.0/8");
  const walks: [string, string][] = [
    ["for=203.0.113.9", "203.0.113.9"],
    ["For=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"],
    ["for=1.1.1.1, for=203.0.113.9 ;proto=http", "203.0.113.9"],
    ['for="203.0.113.9:47011", for=10.0.0.1', "203.0.113.9"],
    ['for="[2001:db8::1]:443"', "2001:db8::1"],
    ['host="a, for=1.1.1.1";for=203.0.113.9', "203.0.113.9"],
    ["for=203.0.113.9, for=unknown", "127.0.0.1"],
    ["for=203.0.113.9, for=_hidden, for=10.0.0.1", "10.0.0.1"],
    ["for=203.0.113.9, proto=https", "127.0.0.1"],
    ['for=203.0.113.9, for="1.1.1.1', "127.0.0.1"],
    ["203.0.113.9", "127.0.0.1"],
    ["=", "127.0.0.1"],
  ];
  for (const [header, address] of walks) {
    assert.equal(caller(trusted, "127.0.0.1", { forwarded: header }), address, header);
  }
  assert.ok(
    trusted.isSecure(new Headers({ forwarded: "for=1.1.1.1;proto=http, for=10.0.0.1;proto=HTTPS" }), "127.0.0.1"),
  );
});

Deno.test("A long run of spaces in Forwarded takes linear time", () => {
  const trusted = proxies("127.0.0.1");
  const timeOf = (spaces: number) => {
    const headers = new Headers({ forwarded: `a=b,${" ".repeat(spaces)}@` });
    const times = Array.from({ length: 20 }, () => {
      const start = performance.now();
      assert.equal(trusted.callerOf(headers, "127.0.0.1"), "127.0.0.1");
      return performance.now() - start;
    });
    return Math.min(...times);
  };
  timeOf(4_000);
  assert.ok(timeOf(4_000) < 2, "milliseconds");
});

Deno.test("Headers that disagree are ignored, so a caller cannot choose an address", () => {
  const trusted = proxies("127.0.0.1");
  const both = (forwarded: string) => ({ "x-forwarded-for": "203.0.113.9", forwarded });
  assert.equal(caller(trusted, "127.0.0.1", both("for=198.51.100.1")), "127.0.0.1");
  assert.equal(caller(trusted, "127.0.0.1", both("nonsense")), "127.0.0.1");
  assert.equal(caller(trusted, "127.0.0.1", both('for="203.0.113.9:1"')), "203.0.113.9");
});
