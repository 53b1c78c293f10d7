import { z } from "zod";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { decodeLiveCursor } from "../live/cursor.ts";
import { CLOSE, type Connection, TOO_LONG } from "../live/connection.ts";
import type { Caller } from "../actors/account_cache.ts";
import { nameRequest, TRACING } from "../lib/tracing.ts";
import { useTicket } from "../security/tickets.ts";
import { authenticate } from "./http/authenticate.ts";
import { validated } from "../contract/body.ts";
import { addressOf, type Api, PREFIX } from "./http/endpoint.ts";
import { currentRequestId } from "../lib/request_context.ts";
import { parametersOf } from "./http/query.ts";
import type { Peer } from "../lib/http/connections.ts";
import { problem } from "../contract/problem.ts";

/** Open sockets per account, per account with an unverified email, and per address (`docs/limits.md`). */
const MAX_SOCKETS = 16;
const MAX_UNVERIFIED_SOCKETS = 2;
const MAX_ADDRESS_SOCKETS = 1_000;
/** After this time a handshake's place is free, however it ended. */
const HANDSHAKE_MS = 10_000;

/** `GET /feed/live`: live updates of the feed. Authenticated by header or by a ticket of `POST /feed/ticket`. */
export function liveRoute(api: Api): void {
  const { app, ctx } = api;
  /** Handshakes in progress by account, because many may start before the first socket is open. */
  const opening = new Map<string, number>();
  const openingFrom = new Map<string, number>();
  const openFrom = new Map<string, number>();
  app.get(`${PREFIX}/feed/live`, async (c) => {
    if (TRACING) nameRequest("GET", `${PREFIX}/feed/live`);
    try {
      if (ctx.draining) throw new AppError("draining", undefined, { retryAfter: 1 });
      await api.limiter.check("general_address", addressOf(c));
      const { ticket = null, cursor: text, ...unknown } = parametersOf(c.req.url);
      const caller = await callerOf(ctx, c.req.raw, ticket);
      validated(z.strictObject({}), unknown);
      const cursor = text === undefined ? undefined : decodeLiveCursor(text);
      if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw new AppError("upgrade-required");
      if (c.req.header("sec-websocket-version") !== "13") {
        throw new AppError("upgrade-required", "Expected version 13 of WebSocket (RFC 6455)");
      }
      if (!isNonce(c.req.header("sec-websocket-key"))) {
        throw new AppError("invalid-handshake", "Expected 16 bytes in base64 as Sec-WebSocket-Key (RFC 6455 §4.2.1)");
      }
      if (!ctx.gateway.takes) {
        throw new AppError("overloaded", "This node accepts no listeners now; try again", { retryAfter: 1 });
      }
      const mayHold = caller.verified || !ctx.config.REQUIRE_VERIFIED_EMAIL ? MAX_SOCKETS : MAX_UNVERIFIED_SOCKETS;
      await checkAccount(ctx, caller.id, opening, mayHold);
      const address = addressOf(c);
      const from = (openFrom.get(address) ?? 0) + (openingFrom.get(address) ?? 0);
      if (ctx.config.RATE_LIMITS && from >= MAX_ADDRESS_SOCKETS) throw tooMany(MAX_ADDRESS_SOCKETS);
      const { socket, response } = upgrade(c.req.raw, ctx.gateway.heartbeatS);
      const endings = [countUntilOpened(opening, caller.id), countUntilOpened(openingFrom, address)];
      const opened = () => endings.forEach((end) => end());
      const { peer } = (c.env ?? {}) as { peer?: Peer };
      if (peer) peer.flooded = () => close(socket);
      let isOpen = false;
      let joined: Promise<Connection> | undefined;
      const leave = () => {
        opened();
        if (isOpen) countDown(openFrom, address);
        isOpen = false;
        void joined?.then((connection) => {
          ctx.gateway.leave(connection);
          ctx.accountSockets.changed(caller.id, ctx.gateway.socketsOf(caller.id));
        });
      };
      socket.onopen = () => {
        isOpen = true;
        openFrom.set(address, (openFrom.get(address) ?? 0) + 1);
        joined = ctx.gateway.join(socket, caller, cursor, () => stillValid(ctx, caller));
        opened();
      };
      socket.onmessage = ({ data }: MessageEvent<string | Blob | ArrayBuffer>) => {
        void joined?.then((connection) => connection.received(lengthOf(data)));
      };
      socket.onclose = leave;
      socket.onerror = leave;
      return response;
    } catch (error) {
      const place = {
        instance: c.req.path,
        requestId: currentRequestId(),
        publicUrl: ctx.config.PUBLIC_URL ?? "",
        log: ctx.log,
      };
      return problem(error, place);
    }
  });
}

/** Throws if the account has this many sockets, on this node and others, opened or being opened. */
async function checkAccount(
  { gateway, accountSockets }: AppContext,
  userId: string,
  opening: Map<string, number>,
  max: number,
): Promise<void> {
  const here = () => gateway.socketsOf(userId) + (opening.get(userId) ?? 0);
  if (here() >= max) throw tooMany(max);
  const elsewhere = await accountSockets.elsewhere(userId, here() + 1);
  // Others may have begun here meanwhile.
  if (here() + elsewhere < max) return;
  accountSockets.changed(userId, here());
  throw tooMany(max);
}

/** Counts one more until the returned function is called (once or more). */
function countUntilOpened(opening: Map<string, number>, user: string): () => void {
  opening.set(user, (opening.get(user) ?? 0) + 1);
  const done = () => {
    clearTimeout(timer);
    if (!counted) return;
    counted = false;
    countDown(opening, user);
  };
  let counted = true;
  const timer = setTimeout(done, HANDSHAKE_MS);
  return done;
}

function countDown(counts: Map<string, number>, key: string): void {
  const left = counts.get(key)! - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

function tooMany(most: number): AppError {
  return new AppError("rate-limited", `Expected at most ${most} open sockets`, { retryAfter: 5 });
}

function lengthOf(data: string | Blob | ArrayBuffer): number {
  return typeof data === "string" ? data.length : data instanceof Blob ? data.size : data.byteLength;
}

/** 16 bytes in base64. */
function isNonce(key: string | undefined): boolean {
  return key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key);
}

function close(socket: WebSocket): void {
  try {
    socket.close(CLOSE.tooLong, TOO_LONG);
  } catch {
    // Already closing.
  }
}

function upgrade(request: Request, heartbeatS: number): ReturnType<typeof Deno.upgradeWebSocket> {
  try {
    // The server pings idle peers and closes those that do not answer.
    return Deno.upgradeWebSocket(request, { idleTimeout: heartbeatS });
  } catch (cause) {
    throw new AppError("upgrade-required", "The WebSocket handshake is incomplete", { cause });
  }
}

async function callerOf(ctx: AppContext, request: Request, ticket: string | null): Promise<Caller> {
  if (ticket === null) return await authenticate(ctx, request.headers.get("authorization"));
  const owner = await useTicket(ctx, ticket);
  if (!owner) throw new AppError("token-invalid", "The ticket is invalid, expired or already used; request a new one");
  // A ticket stands for its session. The session's current state is checked.
  const snapshot = await ctx.accounts.snapshot(owner.id);
  const claims = {
    sub: owner.id,
    sid: owner.sid,
    gen: snapshot?.session?.generation ?? 0,
    exp: Infinity,
    iat: 0,
    jti: "",
    iss: "rookery" as const,
  };
  return await ctx.accounts.authenticate(claims);
}

async function stillValid(ctx: AppContext, caller: Caller): Promise<boolean> {
  const snapshot = await ctx.accounts.snapshot(caller.id).catch(() => null);
  return snapshot?.session?.id === caller.sid && snapshot.role === caller.role;
}
