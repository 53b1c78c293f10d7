import { z } from "zod";
import type { Level } from "./lib/log.ts";
import { duration, flag, port, ranges, s3Url, sender, url, vkUrl, whole } from "./config_values.ts";
import { email, login, password } from "./contract/schemas.ts";
import { VK_LANGS } from "./services/vk/lang.ts";

/** What a process may run. `actors` needs `api`; the others may run alone. */
export const ROLES = ["api", "actors", "jobs", "storage", "stats", "kv", "mail"] as const;
export type ProcessRole = typeof ROLES[number];

/** All wrong settings, by name. Messages are for operators and contain no secret values. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly { setting: string; message: string }[]) {
    super(
      ["Some settings are wrong:", ...problems.map(({ setting, message }) => `  ${setting}: ${message}`)].join("\n"),
    );
  }
}

export interface Setting {
  /** From the variable's text to its value. An empty variable counts as unset. */
  schema: z.ZodType;
  /** As written in the environment; undefined means unset. */
  default?: string;
  /** Shown in place of a default that depends on the machine. */
  defaultText?: string;
  description: string;
  /** The value is never shown. */
  secret?: true;
}

const MAX_WORKERS = 8;
const MAX_CROPS = 4;
const SECRET_KEY_LENGTH = 32;

/** All settings: the source of `Config`, of `.env.example` and of `docs/settings.md`. */
const SETTINGS = {
  HOST: { schema: z.string(), default: "127.0.0.1", description: "The address to listen on" },
  PORT: { schema: port(), default: "8000", description: "The port to listen on; 0 selects a free one" },
  DATA_DIR: {
    schema: z.string(),
    default: "./data",
    description: "The folder for the data of all embedded services",
  },
  PUBLIC_URL: {
    schema: url("http", "https").transform((value) => value.replace(/\/+$/, "")).optional(),
    description: "The public URL of the server, if it differs from the address it listens on",
  },
  NODE_URL: {
    schema: url("http", "https").transform((value) => value.replace(/\/+$/, "")).optional(),
    defaultText: "the machine's name or `HOST`, and the port",
    description: "Where other nodes reach this one over HTTP, while NATS is unavailable",
  },
  TRUSTED_PROXIES: {
    schema: ranges(),
    description:
      "Reverse proxies, as comma-separated addresses or ranges (`127.0.0.1,10.0.0.0/8`); their `Forwarded` or " +
      "`X-Forwarded-For` gives the client address",
  },
  ADMIN_LOGIN: { schema: login, default: "admin", description: "The login of the first administrator" },
  ADMIN_PASSWORD: {
    schema: password.optional(),
    description: "The password of the first administrator; if unset, one is generated and printed",
    secret: true,
  },
  ADMIN_EMAIL: {
    schema: email,
    default: "admin@localhost.localdomain",
    description: "The email of the first administrator",
  },
  DATABASE_URL: {
    schema: url("postgres", "postgresql").optional(),
    description: "Postgres; if unset, the embedded database in `DATA_DIR`",
    secret: true,
  },
  REDIS_URL: {
    schema: url("redis", "rediss").optional(),
    description: "Redis; if unset, a cache in memory",
    secret: true,
  },
  NATS_URL: {
    schema: url("nats", "ws", "wss", "tls").optional(),
    description: "NATS with JetStream; credentials are part of the URL; if unset, a bus in memory",
    secret: true,
  },
  ROLES: {
    schema: roles(),
    default: "all",
    description:
      "The roles of this process: `all`, or some of `api,actors,jobs,storage,stats,kv,mail`; `actors` needs `api`, " +
      "and all processes with it share the actors",
  },
  REGISTRATION: {
    schema: z.enum(["open", "admin"]),
    default: "open",
    description: "Who can create accounts: anybody (`open`) or administrators only (`admin`)",
  },
  REQUIRE_VERIFIED_EMAIL: {
    schema: flag("true", "false"),
    default: "true",
    description: "Whether an account must verify its email before it can write (`true` or `false`)",
  },
  UNVERIFIED_TTL: {
    schema: duration(),
    default: "48h",
    description: "Retention of an account that is never verified",
  },
  ACCESS_TOKEN_TTL: { schema: duration(), default: "30m", description: "Lifetime of an access token" },
  REFRESH_TOKEN_TTL: { schema: duration(), default: "30d", description: "Lifetime of a refresh token" },
  SMTP_URL: {
    schema: url("smtp", "smtps").optional(),
    description: "The mail server that sends emails; if unset, the bundled one, which stores them for `/mail/inbox`",
    secret: true,
  },
  MAIL_FROM: {
    schema: sender(),
    default: "Rookery <noreply@localhost.localdomain>",
    description: "The sender of emails",
  },
  MAIL_URL: {
    schema: url("smtp").optional(),
    description: "The bundled mail server, if it is a separate process (`ROLES=mail`)",
  },
  MAIL_PORT: {
    schema: port(),
    default: "0",
    description: "The port of the bundled mail server; 0 selects a free one",
  },
  KV_URL: {
    schema: url("http", "https").transform((value) => value.replace(/\/+$/, "")).optional(),
    description: "The key–value store, if it is a separate process (`ROLES=kv`)",
  },
  STORAGE_URL: {
    schema: url("http", "https").transform((value) => value.replace(/\/+$/, "")).optional(),
    description: "The storage service, if it is a separate process (`ROLES=storage`)",
  },
  STORAGE_PORT: {
    schema: port(),
    default: "0",
    description: "The port of the storage service; 0 selects a free one",
  },
  STORAGE_MAX_ENTRIES: {
    schema: whole(4, 1_000_000),
    default: "1000",
    description: "Maximum number of files and folders in one folder of the storage service",
  },
  STATS_URL: {
    schema: url("http", "https").transform((value) => value.replace(/\/+$/, "")).optional(),
    description: "The statistics service, if it is a separate process (`ROLES=stats`)",
  },
  STATS_PORT: {
    schema: port(),
    default: "0",
    description: "The port of the statistics service; 0 selects a free one",
  },
  STATS_DATABASE_URL: {
    schema: url("postgres", "postgresql").optional(),
    description: "A Postgres for the tables of the statistics; if unset, the schema `stats` of the main database",
    secret: true,
  },
  S3_URL: {
    schema: s3Url().optional(),
    description: "An S3 bucket for photos, instead of the storage service: " +
      "`s3://key:secret@host:port/bucket?region=…&prefix=…&tls=…`",
    secret: true,
  },
  IMAGE_ENGINE: {
    schema: z.enum(["sharp", "imagescript"]),
    default: "sharp",
    description: "The engine that crops photos: `sharp`, or `imagescript`, which does not read WebP",
  },
  CROP_PROCESSES: {
    schema: whole(1, 64),
    default: String(Math.max(1, Math.min(navigator.hardwareConcurrency, MAX_CROPS))),
    defaultText: `cores, at most ${MAX_CROPS}`,
    description: "Number of processes that crop photos, one photo at a time each",
  },
  SECRET_KEY: {
    schema: z.string().min(SECRET_KEY_LENGTH, `Expected at least ${SECRET_KEY_LENGTH} characters`).optional(),
    description:
      "Encrypts keys and tokens in the database, and messages between processes; required with `DATABASE_URL`, " +
      "otherwise generated in `DATA_DIR`",
    secret: true,
  },
  SECRET_KEY_PREVIOUS: {
    schema: z.string().min(SECRET_KEY_LENGTH, `Expected at least ${SECRET_KEY_LENGTH} characters`).optional(),
    description:
      "The previous `SECRET_KEY`, still used to decrypt, until `deno task keys reseal` has encrypted everything " +
      "with the new one",
    secret: true,
  },
  VK_API_URL: {
    schema: vkUrl().optional(),
    description:
      "The API of VK, such as `https://api.vk.ru`; if unset, the bundled fake in the embedded default, otherwise none",
  },
  VK_LANG: {
    schema: z.enum(VK_LANGS),
    default: "ru",
    description: `The language of names from VK, if VK supports none in the caller's \`Accept-Language\`: ${
      VK_LANGS.map((lang) => `\`${lang}\``).join(", ")
    }`,
  },
  LOG_LEVEL: {
    schema: z.enum(["debug", "info", "warn", "error"] satisfies Level[]),
    default: "info",
    description: "Minimum level of log messages: `debug`, `info`, `warn` or `error`",
  },
  ACCESS_LOG: {
    schema: flag("on", "off"),
    default: "off",
    description: "Whether every HTTP request is logged at level `info`, `on` or `off`",
  },
  METRICS_PORT: {
    schema: port().optional(),
    description:
      "A port for `/metrics` alone; if unset, it is at the port of the role, and `jobs` and `mail` have none; " +
      "0 selects a free one",
  },
  METRICS_TOKEN: {
    schema: z.string().regex(/^[\x21-\x7e]{16,1000}$/, "Expected 16 to 1000 visible ASCII characters").optional(),
    description: "If set, `/metrics` needs `Authorization: Bearer` with it",
    secret: true,
  },
  RATE_LIMITS: {
    schema: flag("on", "off"),
    default: "on",
    description: "Rate limits, `on` or `off` (for load tests)",
  },
  DIGEST_EVERY: {
    schema: duration(),
    default: "24h",
    description: "Interval of digest emails about new posts; intervals are counted from 08:00 UTC",
  },
  EVENT_RETENTION: {
    schema: duration(),
    default: "7d",
    description: "Retention of events, which limits how long a live feed can resume",
  },
  WORKERS: {
    schema: whole(1, 256),
    default: String(Math.max(1, Math.min(navigator.hardwareConcurrency - 1, MAX_WORKERS))),
    defaultText: `one less than cores, at least 1, at most ${MAX_WORKERS}`,
    description: "Number of worker threads that run actors",
  },
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type Config = { readonly [Name in SettingName]: z.output<typeof SETTINGS[Name]["schema"]> };

/** Throws `ConfigError`, which names every wrong setting at once. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const values: Record<string, unknown> = {};
  const problems: { setting: string; message: string }[] = [];
  for (const [setting, { schema, default: value, secret }] of settings()) {
    const given = env[setting] || undefined;
    const parsed = schema.safeParse(given ?? value);
    if (parsed.success) values[setting] = parsed.data;
    else {
      const reasons = parsed.error.issues.map(({ message }) => message).join("; ");
      problems.push({ setting, message: secret ? reasons : `${reasons}, got ${JSON.stringify(given)}` });
    }
  }
  // One message per setting is enough.
  const reported = new Set(problems.map(({ setting }) => setting));
  problems.push(...conflicts(values as Partial<Config>).filter(({ setting }) => !reported.has(setting)));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(values) as Config;
}

/** Errors in combinations of settings. */
function conflicts(config: Partial<Config>): { setting: string; message: string }[] {
  const { DATABASE_URL, SECRET_KEY, ROLES: roles = [], S3_URL, STORAGE_URL, MAIL_URL, SMTP_URL, PUBLIC_URL } = config;
  const found: { setting: string; message: string }[] = [];
  const alone = !roles.includes("api");
  // A node without actors sends commands to the nodes that have them.
  const remote = roles.includes("api") && !roles.includes("actors");
  if ((alone || remote) && DATABASE_URL === undefined && roles.some((role) => role !== "storage")) {
    found.push({
      setting: "DATABASE_URL",
      message: "Expected Postgres: only a process with `api,actors` runs the embedded database",
    });
  }
  if (remote && config.NATS_URL === undefined) {
    found.push({
      setting: "NATS_URL",
      message: "Expected NATS: a node without `actors` sends commands to other nodes over it",
    });
  }
  if (remote && config.REDIS_URL === undefined) {
    found.push({
      setting: "REDIS_URL",
      message: "Expected Redis: all processes with `api` share rate limits",
    });
  }
  // The statistics service verifies tokens with public keys, and the mail server has no secrets.
  const sealed = roles.some((role) => role !== "stats" && role !== "mail");
  if (SECRET_KEY === undefined && sealed && (DATABASE_URL !== undefined || alone || remote)) {
    found.push({
      setting: "SECRET_KEY",
      message: `Expected at least ${SECRET_KEY_LENGTH} characters: all processes share the keys that it encrypts`,
    });
  }
  const handlesPhotos = roles.includes("api") || roles.includes("jobs");
  if (handlesPhotos && !roles.includes("storage") && S3_URL === undefined && STORAGE_URL === undefined) {
    found.push({
      setting: "STORAGE_URL",
      message: "Expected the URL of the storage service, or S3_URL, because ROLES has no `storage`",
    });
  }
  if (roles.includes("jobs") && alone && SMTP_URL === undefined && PUBLIC_URL === undefined) {
    found.push({ setting: "PUBLIC_URL", message: "Expected the public URL of the site, because emails link to it" });
  }
  if (roles.includes("jobs") && SMTP_URL !== undefined) {
    // Otherwise emails go out that other servers reject or whose links lead nowhere.
    if (config.MAIL_FROM === SETTINGS.MAIL_FROM.default) {
      found.push({
        setting: "MAIL_FROM",
        message: "Expected the sender of emails, because SMTP_URL delivers them to other servers",
      });
    }
    if (PUBLIC_URL === undefined) {
      found.push({ setting: "PUBLIC_URL", message: "Expected the public URL of the site, because emails link to it" });
    }
  }
  if (roles.includes("jobs") && !roles.includes("mail") && SMTP_URL === undefined && MAIL_URL === undefined) {
    found.push({
      setting: "MAIL_URL",
      message: "Expected the URL of the mail server, or SMTP_URL, because ROLES has no `mail`",
    });
  }
  return found;
}

/** All settings in their order, for `.env.example` and `docs/settings.md`. */
export function settings(): [string, Setting][] {
  return Object.entries(SETTINGS);
}

function roles() {
  const message = `Expected "all", or a list of ${ROLES.join(",")}`;
  return z.string().transform((value, context): readonly ProcessRole[] => {
    const names = value === "all" ? [...ROLES] : value.split(",").map((name) => name.trim());
    const chosen = ROLES.filter((role) => names.includes(role));
    if (!names.every((name) => (ROLES as readonly string[]).includes(name))) {
      context.addIssue({ code: "custom", message });
    } else if (chosen.includes("actors") && !chosen.includes("api")) {
      context.addIssue({
        code: "custom",
        message: "Expected api with actors: a node with actors also answers callers",
      });
    }
    return Object.freeze(chosen);
  });
}
