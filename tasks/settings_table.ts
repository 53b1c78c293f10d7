import { type Setting, settings } from "../config.ts";

/** The first setting of each group, and the group's heading. */
const GROUPS: Record<string, string> = {
  HOST: "Server",
  ADMIN_LOGIN: "First administrator",
  DATABASE_URL: "Database, cache, bus and roles",
  REGISTRATION: "Accounts and sessions",
  SMTP_URL: "Email",
  KV_URL: "Separate services",
  S3_URL: "Photos",
  SECRET_KEY: "Encryption",
  VK_API_URL: "VK",
  LOG_LEVEL: "Operation",
};

const HEAD = `# Copy to .env and start with \`deno run --env-file …\`, or set these in the environment.
# An unset variable has its default.
# Durations are numbers with a unit: 500ms, 3s, 30m, 48h, 7d.
`;

/** The text of `.env.example`: every setting with its default, commented out. */
export function exampleSettings(): string {
  const parts = settings().map(([name, { default: value, defaultText, description }]) =>
    `${GROUPS[name] ? `## ${GROUPS[name]}\n\n` : ""}# ${description.replaceAll("`", "")}${
      defaultText ? ` (${defaultText})` : ""
    }\n#${name}=${defaultText ? "" : quoted(value ?? "")}\n`
  );
  return [HEAD, ...parts].join("\n");
}

/** Markdown tables of all settings, one a group, for `docs/settings.md`. */
export function settingsTable(): string {
  return settings().map(([name, setting]) => `${GROUPS[name] ? tableHead(GROUPS[name]) : ""}${row(name, setting)}`)
    .join("\n").trim();
}

function tableHead(group: string): string {
  return `\n## ${group}\n\n| Setting | Default | Meaning |\n| --- | --- | --- |\n`;
}

function row(name: string, { default: value, defaultText, description }: Setting): string {
  return `| \`${name}\` | ${defaultText ?? (value === undefined ? "" : `\`${value}\``)} | ${description} |`;
}

function quoted(value: string): string {
  return /[\s<>#"]/.test(value) ? `"${value}"` : value;
}
