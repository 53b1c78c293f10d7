/** `compose.yaml` as its tool reads it: merge keys resolved, variables replaced. */
import { parse } from "../packages/yaml.ts";
import { ROOT } from "./sources.ts";

export interface Service {
  image?: string;
  build?: string;
  user?: string;
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  env_file?: unknown;
  volumes?: string[];
  tmpfs?: string[];
  ports?: string[];
  profiles?: string[];
  networks?: string[] | Record<string, { ipv4_address: string }>;
  configs?: { source: string; target: string }[];
  healthcheck?: { test: string[]; interval: string; timeout: string; retries: number; start_interval: string };
  depends_on?: Record<string, { condition: string }>;
  logging?: { driver: string; options: Record<string, string> };
  deploy?: { resources: { limits: { cpus: string; memory: string; pids: number } } };
  init?: boolean;
  read_only?: boolean;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  privileged?: boolean;
  stop_grace_period?: string;
}

export interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  configs: Record<string, { file: string }>;
  networks: Record<string, { internal?: boolean; ipam?: { config: { subnet: string; ip_range: string }[] } } | null>;
}

export const COMPOSE_TEXT = await Deno.readTextFile(new URL("compose.yaml", ROOT));
/** The values that `.env` must have. */
export const REQUIRED_ENV: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: "secret-of-postgres",
  REDIS_PASSWORD: "secret-of-redis",
  NATS_PASSWORD: "secret-of-nats",
  SECRET_KEY: "s".repeat(32),
};

/** With what `.env` has; throws for a variable that has to be set there and is not. */
export function readCompose(env: Readonly<Record<string, string>> = REQUIRED_ENV): Compose {
  // Merge keys belong to YAML 1.1, which compose files are read as.
  return replaced(parse(COMPOSE_TEXT, { version: "1.1", merge: true }), env) as Compose;
}

function replaced(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === "string") return interpolated(value, env);
  if (Array.isArray(value)) return value.map((each) => replaced(each, env));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, replaced(each, env)]));
}

/** `${NAME:?why}`, `${NAME:-default}`, `${NAME:+replacement}`, and `$$` for a dollar. */
function interpolated(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(
    /\$\$|\$\{(\w+):([?+-])([^}]*)\}|\$\{?/g,
    (found, name: string, kind: string, rest: string) => {
      if (found === "$$") return "$";
      if (name === undefined) throw new Error(`Expected \${NAME:…} in ${text}`);
      const set = env[name] ?? "";
      if (kind === "+") return set === "" ? "" : rest;
      if (set === "" && kind === "?") throw new Error(`${name}: ${rest}`);
      return set === "" ? rest : set;
    },
  );
}
