import { resolve } from "node:path";
import type { ServiceContext } from "../../context.ts";
import { ANSWER_MS } from "../../db/postgres.ts";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { RedisCache } from "../../lib/cache/redis.ts";
import { Hop } from "../../services/kv/forwarded_address.ts";
import { buildKvApi } from "../../routes/app.ts";
import { TrustedProxies } from "../../security/addresses.ts";
import { serveHttp } from "../../lib/http/server.ts";
import { Keys } from "../../security/keys.ts";
import { AccountReader } from "../../actors/account_cache.ts";
import { Secret } from "../../security/secret.ts";
import { Tokens } from "../../security/tokens.ts";
import { within } from "../../lib/sleep.ts";
import { openDatabase, type RoleParts, running, type RunningRole } from "./role.ts";

const CONNECTIONS = 12;
/** Milliseconds that requests in progress get at a stop. */
const DRAIN_MS = 5_000;

/**
 * `ROLES=kv`: the key–value store alone at `HOST` and `PORT`. It verifies tokens by their signature and checks session
 * and account in Postgres at each request.
 */
export async function kvRole({ config, log, metrics }: RoleParts): Promise<RunningRole> {
  await using stack = new AsyncDisposableStack();
  const options = { max: CONNECTIONS, applicationName: "rookery-kv", answerWithinMs: ANSWER_MS };
  const sql = await openDatabase({ log, stack }, config.DATABASE_URL!, options);
  const secret = await Secret.load(config.SECRET_KEY, resolve(config.DATA_DIR), config.SECRET_KEY_PREVIOUS);
  const keys = stack.use(await Keys.load(sql, secret, log));
  const ctx: ServiceContext = {
    config,
    log,
    sql,
    cache: stack.use(config.REDIS_URL ? new RedisCache(config.REDIS_URL) : new MemoryCache()),
    secret,
    tokens: new Tokens(keys, { accessMs: config.ACCESS_TOKEN_TTL, refreshMs: config.REFRESH_TOKEN_TTL }),
    accounts: new AccountReader(sql),
    metrics,
    starting: false,
    draining: false,
  };
  const { app } = buildKvApi(ctx);
  const hop = new Hop(secret);
  const proxies = new TrustedProxies(config.TRUSTED_PROXIES, config.PUBLIC_URL);
  const listen = { hostname: config.HOST, port: config.PORT, log, accessLog: config.ACCESS_LOG };
  const server = stack.use(serveHttp(listen, (request, peer) => {
    const origin = proxies.origin(request.headers, peer);
    return app.fetch(request, { ...origin, address: hop.addressOf(request, origin.address) });
  }));
  stack.defer(async () => {
    ctx.draining = true;
    await within(DRAIN_MS, server.shutdown());
  });
  return running(stack, `Rookery's key–value store is ready at http://${config.HOST}:${server.addr.port}`);
}
