/** `compose.yaml`, read without Docker: its names exist, and its variables are settings. */
import assert from "node:assert/strict";
import { parse } from "../packages/yaml.ts";
import { readConfig } from "../../config.ts";
import { settingsTable } from "../../tasks/settings_table.ts";

const ROOT = new URL("../../", import.meta.url);

interface Service {
  image?: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  env_file?: { path: string; required: boolean }[];
  volumes?: string[];
  healthcheck?: { test: string[]; interval: string; timeout: string; retries: number };
  depends_on?: Record<string, { condition: string }>;
}

const text = await Deno.readTextFile(new URL("compose.yaml", ROOT));
// Merge keys belong to YAML 1.1, the version that Compose reads.
const { services, volumes } = parse(text, { version: "1.1", merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const OURS = Object.entries(services).filter(([, { build }]) => build !== undefined);
/** Values that `.env` must set. */
const SECRETS = { POSTGRES_PASSWORD: "secret", SECRET_KEY: "s".repeat(32) };

Deno.test("compose.yaml has the services of a full installation", () => {
  assert.deepEqual(Object.keys(services).sort(), [
    "api",
    "jobs",
    "kv",
    "mail",
    "migrations",
    "nats",
    "nodes",
    "postgres",
    "redis",
    "stats",
    "storage",
  ]);
});

Deno.test("Every long-running service has a health check, and everything waits for what it needs", () => {
  for (const [name, { healthcheck }] of Object.entries(services)) {
    if (name === "migrations") continue;
    assert.ok(healthcheck && ["CMD", "CMD-SHELL"].includes(healthcheck.test[0]!), name);
    for (const time of [healthcheck.interval, healthcheck.timeout]) assert.match(time, /^\d+s$/);
  }
  for (const [name, { depends_on = {} }] of Object.entries(services)) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      assert.ok(services[other], `${name} depends on "${other}", which does not exist`);
      if (condition === "service_healthy") assert.ok(services[other].healthcheck, other);
      else assert.equal(condition, "service_completed_successfully");
    }
  }
  for (const [name, { depends_on }] of OURS) assert.ok(Object.keys(depends_on ?? {}).length > 0, name);
});

Deno.test("Named volumes are declared, and used", () => {
  const used = Object.values(services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(":")[0]!));
  assert.deepEqual([...new Set(used)].sort(), Object.keys(volumes).sort());
});

Deno.test("Images have a version, and the file has no secrets", () => {
  for (const [name, { image }] of Object.entries(services)) assert.match(image ?? "", /^\w+:[\w.-]+$/, name);
  for (const [, secret] of text.matchAll(/(?:PASSWORD|SECRET_KEY): (.*)/g)) assert.match(secret!, /^\$\{\w+:\?/);
});

Deno.test("Each of our services starts with valid settings from an existing entry", async () => {
  const known = [...settingsTable().matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!);
  const entry = await Deno.readTextFile(new URL("docker/entrypoint.sh", ROOT));
  for (const [name, { command = [], environment = {}, env_file }] of OURS) {
    assert.match(entry, new RegExp(`(^|\\| ?|  )${command![0]}( \\||\\))`, "m"), `${name}: "${command}" is not a role`);
    assert.equal(env_file?.[0]?.path, ".env");
    const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, interpolated(value)]));
    for (const key of Object.keys(env)) assert.ok(known.includes(key), `${name}: "${key}" is not a setting`);
    // The entry point sets ROLES for these.
    const role = ["jobs", "storage", "stats", "kv", "mail"].includes(command[0]!) ? { ROLES: command[0] } : {};
    const config = readConfig({ ...env, ...role });
    const { DATABASE_URL, REDIS_URL, NATS_URL, STORAGE_URL, STATS_URL, KV_URL, MAIL_URL } = config;
    for (const address of [DATABASE_URL, REDIS_URL, NATS_URL, STORAGE_URL, STATS_URL, KV_URL, MAIL_URL]) {
      if (address !== undefined) assert.ok(services[new URL(address).hostname], `${name}: no service at ${address}`);
    }
  }
});

/** `${NAME:?why}` and `${NAME:-default}`. */
function interpolated(value: string): string {
  return value.replaceAll(/\$\{(\w+):([?-])([^}]*)\}/g, (_, name: string, kind: string, rest: string) => {
    const set = (SECRETS as Record<string, string>)[name];
    assert.ok(set !== undefined || kind === "-", `${name} is needed`);
    return set ?? rest;
  });
}
