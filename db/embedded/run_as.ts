/**
 * Postgres refuses to run as root, so a root process runs it as another user. If that user can reach the folders, it
 * runs without capabilities, in a group without other members. Otherwise it keeps one capability, to enter and read
 * folders of root, such as root's home.
 */
import { readProcFile } from "../../lib/proc_files.ts";
import { EmbeddedRefused } from "./refused.ts";

export interface RunAs {
  /** Arguments before the program. */
  prefix: readonly string[];
  /** Options of `Deno.Command`. */
  user: { uid?: number; gid?: number };
  /** The owner of files that the programs write; undefined for the user of this process. */
  owner?: { uid: number; gid: number };
}

/** A group without members: other processes of the same user cannot enter the data folder. */
const OWN_GROUP = 65_432;
const USERS = ["postgres", "nobody"];
const CAPABILITIES = [["dac_read_search", 2], ["dac_override", 1]] as const;

/**
 * `clusterOwner` is the owner of an existing database. The user must be able to reach `program` and `dataDir`. Throws
 * `EmbeddedRefused` if no user can.
 */
export async function runAs(
  { dataDir, program, clusterOwner }: { dataDir: string; program: string; clusterOwner: number | undefined },
): Promise<RunAs> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return { prefix: [], user: {} };
  if (clusterOwner === 0) {
    throw new EmbeddedRefused(
      `The database in "${dataDir}" belongs to root, which Postgres refuses; ` +
        `change its owner with: chown -R nobody "${dataDir}/postgres"`,
    );
  }
  const owner = { uid: clusterOwner ?? await firstUser(), gid: OWN_GROUP };
  if (await reaches(owner, [program, dataDir])) return { prefix: [], user: owner, owner };
  // Postgres also checks with access(2), which respects capabilities only with this securebit.
  const capability = heldCapability();
  if (capability && await setprivExists()) {
    const prefix = [
      "setpriv",
      `--reuid=${owner.uid}`,
      `--regid=${owner.gid}`,
      "--clear-groups",
      "--securebits=+no_setuid_fixup",
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      "--",
    ];
    return { prefix, user: {}, owner };
  }
  // The last option: let its group, and nobody else, enter the folder itself.
  await Deno.chown(dataDir, null, OWN_GROUP);
  await Deno.chmod(dataDir, 0o710);
  if (await reaches(owner, [program, dataDir])) return { prefix: [], user: owner, owner };
  throw new EmbeddedRefused(
    `Postgres refuses to run as root, and user ${owner.uid} may not enter "${dataDir}" ` +
      `or the folder of its programs; ` +
      `start Rookery as another user, or set DATA_DIR to a folder outside root's home`,
  );
}

async function reaches({ uid, gid }: { uid: number; gid: number }, paths: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `for path; do test -x "$path" || exit 1; done`, "sh", ...paths],
      cwd: "/",
      uid,
      gid,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new EmbeddedRefused(
      "Postgres refuses to run as root, and this root cannot become another user (CAP_SETUID, CAP_SETGID); " +
        "start Rookery as another user, or set DATABASE_URL",
    );
  }
}

/** initdb needs a user with a name. */
async function firstUser(): Promise<number> {
  const lines = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  for (const name of USERS) {
    const uid = Number(lines.find(([found]) => found === name)?.[2]);
    if (uid > 0) return uid;
  }
  throw new EmbeddedRefused(
    `Postgres refuses to run as root, and there is no user ${USERS.join(" or ")}; start Rookery as another user`,
  );
}

/** The least capability that is sufficient and that this process has. */
function heldCapability(): string | undefined {
  const status = readProcFile("/proc/self/status") ?? "";
  const held = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return CAPABILITIES.find(([, bit]) => (held >> BigInt(bit)) & 1n)?.[0];
}

async function setprivExists(): Promise<boolean> {
  return await new Deno.Command("setpriv", { args: ["--version"], stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
}
