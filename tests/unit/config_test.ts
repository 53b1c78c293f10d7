import assert from "node:assert/strict";
import { ConfigError, readConfig } from "../../config.ts";
import { exampleSettings, settingsTable } from "../../tasks/settings_table.ts";

const ROOT = new URL("../../", import.meta.url);
const HINT = "run: deno run -A tasks/settings.ts";

Deno.test("An empty environment gives the defaults, and an empty variable is an unset one", () => {
  const config = readConfig({});
  assert.equal(config.PORT, 8000);
  assert.equal(config.UNVERIFIED_TTL, 48 * 3_600_000);
  assert.deepEqual(config.ROLES, ["api", "actors", "jobs", "storage", "stats", "kv", "mail"]);
  assert.equal(config.REQUIRE_VERIFIED_EMAIL, true);
  assert.equal(config.RATE_LIMITS, true);
  assert.deepEqual(readConfig({ PORT: "", DATABASE_URL: "", ADMIN_PASSWORD: "" }), config);
  assert.ok(Object.isFrozen(config));
});

Deno.test("Settings become typed values", () => {
  const config = readConfig({
    PORT: "0",
    PUBLIC_URL: "https://example.org/rookery/",
    ROLES: "mail",
    ACCESS_TOKEN_TTL: "500ms",
    EVENT_RETENTION: "3s",
    REQUIRE_VERIFIED_EMAIL: "false",
    RATE_LIMITS: "off",
    TRUSTED_PROXIES: " 127.0.0.1, fd00::/8 ",
    DATABASE_URL: "postgresql://localhost/rookery",
    SECRET_KEY: "x".repeat(32),
  });
  assert.equal(config.PORT, 0);
  assert.equal(config.PUBLIC_URL, "https://example.org/rookery");
  assert.deepEqual(config.ROLES, ["mail"]);
  assert.equal(config.ACCESS_TOKEN_TTL, 500);
  assert.equal(config.EVENT_RETENTION, 3_000);
  assert.equal(config.REQUIRE_VERIFIED_EMAIL, false);
  assert.equal(config.RATE_LIMITS, false);
  assert.deepEqual(config.TRUSTED_PROXIES.map(([base, bits]) => `${base}/${bits}`), ["127.0.0.1/32", "fd00::/8"]);
});

/** Each value is invalid for a different reason. */
const WRONG: Record<string, string> = {
  PORT: "65536",
  PUBLIC_URL: "example.org",
  TRUSTED_PROXIES: "127.0.0.1,10.0.0.0/33",
  ADMIN_LOGIN: "the admin",
  ADMIN_PASSWORD: "hunter2hunter2",
  ADMIN_EMAIL: "admin",
  DATABASE_URL: "mysql://localhost/x",
  REDIS_URL: "http://localhost",
  NATS_URL: "localhost:4222",
  ROLES: "actors,mail",
  REGISTRATION: "closed",
  REQUIRE_VERIFIED_EMAIL: "yes",
  UNVERIFIED_TTL: "48",
  ACCESS_TOKEN_TTL: "0s",
  REFRESH_TOKEN_TTL: "1y",
  SMTP_URL: "mail.example.org",
  MAIL_FROM: "Rookery",
  MAIL_PORT: "-1",
  MAIL_URL: "mail:2525",
  KV_URL: "kv:8000",
  STORAGE_URL: "storage",
  STORAGE_PORT: "x",
  STORAGE_MAX_ENTRIES: "3",
  STATS_URL: "stats",
  STATS_PORT: "x",
  STATS_DATABASE_URL: "http://localhost",
  S3_URL: "s3://bucket",
  IMAGE_ENGINE: "magick",
  CROP_PROCESSES: "0",
  SECRET_KEY: "short",
  SECRET_KEY_PREVIOUS: "short, too",
  VK_API_URL: "http://api.vk.com",
  LOG_LEVEL: "verbose",
  RATE_LIMITS: "true",
  EVENT_RETENTION: "a week",
  WORKERS: "0",
};

Deno.test("All invalid settings are reported together, without the values of secrets", () => {
  const error = failure(WRONG);
  assert.deepEqual(new Set(error.problems.map(({ setting }) => setting)), new Set(Object.keys(WRONG)));
  for (const name of Object.keys(WRONG)) assert.match(error.message, new RegExp(`^  ${name}: `, "m"));
  assert.ok(!error.message.includes("hunter2"));
});

for (const [name, value] of Object.entries(WRONG)) {
  Deno.test(`${name}=${value} alone is rejected`, () => {
    assert.ok(failure({ [name]: value }).problems.some(({ setting }) => setting === name));
  });
}

Deno.test("VK is reached over https or on this machine; the address may have the path of its methods", () => {
  const url = (VK_API_URL: string) => readConfig({ VK_API_URL }).VK_API_URL;
  assert.equal(url("https://api.vk.com"), "https://api.vk.com");
  assert.equal(url("https://api.vk.ru/method/"), "https://api.vk.ru");
  for (const near of ["http://127.0.0.1:8090", "http://localhost:8090", "http://[::1]:8090"]) {
    assert.equal(url(near), near);
  }
  const wrong = [
    "http://127.0.0.1.vk.test",
    "http://10.0.0.1",
    "https://api.vk.com?access_token=x",
    "api.vk.com",
    "ftp://localhost",
  ];
  for (const each of wrong) assert.throws(() => url(each), ConfigError, each);
});

Deno.test("DATABASE_URL needs a SECRET_KEY, reported once", () => {
  const names = (env: Record<string, string>) => failure(env).problems.map(({ setting }) => setting);
  assert.deepEqual(names({ DATABASE_URL: "postgres://localhost/x" }), ["SECRET_KEY"]);
  assert.deepEqual(names({ DATABASE_URL: "postgres://localhost/x", SECRET_KEY: "short" }), ["SECRET_KEY"]);
});

Deno.test("Roles that run alone need what they share with the others", () => {
  const database = { DATABASE_URL: "postgres://localhost/x", SECRET_KEY: "x".repeat(32) };
  const names = (env: Record<string, string>) => failure(env).problems.map(({ setting }) => setting);
  assert.deepEqual(names({ ROLES: "mail" }), ["DATABASE_URL"]);
  assert.deepEqual(names({ ROLES: "kv" }), ["DATABASE_URL", "SECRET_KEY"]);
  assert.deepEqual(names({ ROLES: "storage" }), ["SECRET_KEY"]);
  assert.deepEqual(names({ ROLES: "jobs", ...database }), ["STORAGE_URL", "PUBLIC_URL", "MAIL_URL"]);
  assert.deepEqual(names({ ROLES: "api,actors", ...database }), ["STORAGE_URL"]);
  assert.deepEqual(names({ ROLES: "api" }), ["DATABASE_URL", "NATS_URL", "REDIS_URL", "SECRET_KEY", "STORAGE_URL"]);
  assert.deepEqual(names({ ROLES: "actors,jobs", ...database }), ["ROLES"]);
  readConfig({
    ROLES: "api",
    ...database,
    NATS_URL: "nats://localhost",
    REDIS_URL: "redis://localhost",
    STORAGE_URL: "http://localhost",
  });
  readConfig({ ROLES: "kv", ...database });
  readConfig({ ROLES: "storage", SECRET_KEY: "x".repeat(32) });
  // The role `stats` needs no secret.
  assert.deepEqual(names({ ROLES: "stats" }), ["DATABASE_URL"]);
  readConfig({ ROLES: "stats", DATABASE_URL: "postgres://localhost/x" });
  const PUBLIC_URL = "https://example.org";
  readConfig({
    ROLES: "jobs",
    ...database,
    PUBLIC_URL,
    S3_URL: "s3://key:secret@host/bucket",
    SMTP_URL: "smtp://host",
    MAIL_FROM: "noreply@example.org",
  });
});

Deno.test("An external mail server needs a sender and a public URL", () => {
  const names = (env: Record<string, string>) => failure(env).problems.map(({ setting }) => setting);
  const SMTP_URL = "smtp://host";
  assert.deepEqual(names({ SMTP_URL }), ["MAIL_FROM", "PUBLIC_URL"]);
  assert.deepEqual(names({ SMTP_URL, PUBLIC_URL: "https://example.org" }), ["MAIL_FROM"]);
  assert.deepEqual(names({ SMTP_URL, MAIL_FROM: "noreply@example.org" }), ["PUBLIC_URL"]);
  readConfig({ SMTP_URL, MAIL_FROM: "noreply@example.org", PUBLIC_URL: "https://example.org" });
  // A process that sends no email needs neither.
  readConfig({ SMTP_URL, ROLES: "api,actors,storage,stats,kv" });
});

Deno.test("With invalid settings the program names them on standard error and exits with 2", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts"],
    cwd: ROOT.pathname,
    env: { PORT: "none", LOG_LEVEL: "loud", ADMIN_PASSWORD: "hunter2hunter2" },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  const output = new TextDecoder().decode(stderr);
  assert.equal(code, 2, output);
  for (const name of ["PORT", "LOG_LEVEL", "ADMIN_PASSWORD"]) assert.match(output, new RegExp(`^  ${name}: `, "m"));
  assert.ok(!output.includes("hunter2"));
  assert.equal(stdout.length, 0);
});

Deno.test(".env.example matches config.ts", async () => {
  assert.equal(await Deno.readTextFile(new URL(".env.example", ROOT)), exampleSettings(), HINT);
});

Deno.test("docs/settings.md has the table of config.ts", async () => {
  const document = await Deno.readTextFile(new URL("docs/settings.md", ROOT));
  const part = /<!-- settings -->([\s\S]*?)<!-- \/settings -->/.exec(document)?.[1]?.trim();
  assert.equal(part, settingsTable(), HINT);
});

function failure(env: Record<string, string>): ConfigError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(env)} was accepted`);
}
