import { find, freePort, launch, type Server, TEST_LOCK } from "../tests/support/servers.ts";
import { inTurns, mean, ratioRow, type Row, run, say, shown, signIn, startInstallation, wrk } from "./harness.ts";
import { fillWorld, idOf } from "./world.ts";

const PEOPLE = 64;
/** Initial pairs of each person. */
const PAIRS = 1_500;
const BATCH = 100;
const VALUE = `{"id":@,"name":"person @","tags":["a","b"],"on":true,"text":"some words that a value may hold"}`;

/** The address and the callers of one side. */
interface Side {
  url: string;
  path: string;
  tokens: string[];
}

/** Batches of 100 pairs over HTTP, compared with Tarantool behind a thin Hono server with the same pairs. */
export async function benchKv({ seconds }: { seconds: number }): Promise<Row[]> {
  await using installation = await startInstallation(async (sql) => {
    await fillWorld(sql, { people: PEOPLE, posts: 0, follows: 0, readers: 0 });
    await sql.execute("insert into kv_spaces (id, owner_id) select id, id from users");
    await sql.execute(
      `insert into kv (space, key, value, version)
      select ${idOf("user", "p")}, 'key ' || n, replace($3, '@', n::text), 1
      from generate_series(1, $1::int) p cross join generate_series(1, $2::int) n`,
      [PEOPLE, PAIRS, VALUE],
    );
  });
  await using tarantool = await startTarantool();
  await using reference = await startReference(tarantool);
  const ours = { url: installation.url, path: "/api/v1/kv", tokens: await signIn(installation.url, PEOPLE) };
  const theirs = { url: reference.url, path: "/kv", tokens: Array.from({ length: PEOPLE }, (_, i) => String(i + 1)) };
  const rows: Row[] = [];
  for (const [what, script, target] of [["read", readScript, 1], ["write", writeScript, 0.7]] as const) {
    for (const clients of [16, 64]) {
      const load = async (side: Side, seconds: number) => {
        // Unwritten pages of one side must not be flushed during the other side's syncs.
        await run(["sync"]);
        return await wrk(side.url, { connections: clients, seconds, script: script(side) });
      };
      for (const side of [ours, theirs]) await load(side, 2);
      const [own, other] = await inTurns(seconds, (share) => load(ours, share), (share) => load(theirs, share));
      say(`  ${what}, ${clients} clients: ${shown(own)}; Tarantool ${shown(other)}`);
      const [rate, reference] = [own, other].map((loads) => mean(loads.map(({ perSecond }) => perSecond)));
      rows.push(ratioRow(`${what} ${BATCH} pairs, ${clients} clients`, rate!, reference!, target, "batches/s"));
    }
  }
  return rows;
}

/** 100 random keys of a person. */
export function readScript({ path, tokens }: Side): string {
  return `${callers(tokens)}
math.randomseed(7)
local bodies = {}
for b = 1, 500 do
  local keys, seen = {}, {}
  while #keys < ${BATCH} do
    local key = math.random(1, ${PAIRS})
    if not seen[key] then seen[key] = true; keys[#keys + 1] = '"key ' .. key .. '"' end
  end
  bodies[b] = '{"keys":[' .. table.concat(keys, ",") .. ']}'
end
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "${path}/read", callers[n % #callers + 1], bodies[n % #bodies + 1])
end`;
}

/** 100 new keys that no other run of the script has. */
export function writeScript({ path, tokens }: Side): string {
  return `${callers(tokens)}
local values = {}
for i = 1, ${BATCH} do values[i] = '":' .. string.gsub('${VALUE}', "@", i) end
local n = 0
request = function()
  n = n + 1
  local all = {}
  for i = 1, ${BATCH} do all[i] = '"${crypto.randomUUID()} ' .. n .. ' ' .. i .. values[i] end
  return wrk.format("POST", "${path}/write", callers[n % #callers + 1], '{"data":{' .. table.concat(all, ",") .. '}}')
end`;
}

function callers(tokens: string[]): string {
  const headers = tokens.map((token) =>
    `{ ["Authorization"] = "Bearer ${token}", ["Content-Type"] = "application/json" }`
  );
  return `local callers = { ${headers.join(", ")} }`;
}

/** Answers when it has the pairs. Its log is written but not synced, which is its default. */
const TARANTOOL = `local port, folder = arg[1], arg[2]
box.cfg { work_dir = folder, memtx_memory = 4 * 1024 * 1024 * 1024, log_level = 2 }
box.schema.space.create("kv", { format = { { "owner", "string" }, { "key", "string" }, { "value", "string" } } })
box.space.kv:create_index("primary", { parts = { "owner", "key" } })
box.schema.user.grant("guest", "super")
for p = 1, ${PEOPLE} do
  box.begin()
  for n = 1, ${PAIRS} do
    box.space.kv:insert { "Bearer " .. p, "key " .. n, (string.gsub('${VALUE}', "@", n)) }
  end
  box.commit()
end
function kv_read(owner, keys)
  local values = {}
  for i, key in ipairs(keys) do
    local pair = box.space.kv:get { owner, key }
    values[i] = pair and pair[3] or box.NULL
  end
  return values
end
function kv_write(owner, keys, values)
  local ignored = {}
  box.begin()
  for i, key in ipairs(keys) do
    if box.space.kv:get { owner, key } then table.insert(ignored, key)
    else box.space.kv:insert { owner, key, values[i] } end
  end
  box.commit()
  return ignored
end
box.cfg { listen = "127.0.0.1:" .. port }
`;

async function startTarantool(): Promise<Server> {
  const port = await freePort();
  const home = await Deno.makeTempDir({ prefix: "rookery-tarantool-" });
  await Deno.writeTextFile(`${home}/kv.lua`, TARANTOOL);
  return await launch({
    url: `127.0.0.1:${port}`,
    home,
    command: [find("tarantool"), `${home}/kv.lua`, String(port), home],
    prepare: () => Promise.resolve(),
    isReady: () => Deno.connect({ hostname: "127.0.0.1", port }).then((it) => (it.close(), true), () => false),
  });
}

async function startReference(tarantool: Server): Promise<{ url: string } & AsyncDisposable> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", TEST_LOCK, "bench/kv_reference.ts", tarantool.url.split(":")[1]!],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value: port } = await reader.read();
  return {
    url: `http://127.0.0.1:${port!.trim()}`,
    async [Symbol.asyncDispose]() {
      process.kill("SIGTERM");
      await process.status;
    },
  };
}
