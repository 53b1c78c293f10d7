/** Shows an account's live feed in the terminal until Ctrl-C. A lost connection is resumed. */
import { readCommandLine } from "../lib/command_line.ts";
import { listen } from "./commands/listen.ts";
import { Client, Problem, Unreachable } from "./client.ts";
import { connectionOf } from "./connection.ts";
import { type Frame, shown } from "./listen_frames.ts";
import { fail, harmless, remark, say, styled } from "./terminal.ts";
import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

const EXIT = { failed: 1, session: 3, blocked: 4 } as const;
const RETRY_BACKOFF = backoff({ firstMs: 250, maxMs: 15_000, jitter: [0.75, 1.25] });

type Ended = { code: number; reason: string; heard: boolean };

const { base, login, password, token } = connectionOf(listen, readCommandLine(listen));
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => stop.abort());
stop.signal.addEventListener("abort", () => Deno.exit(0));

const client = new Client(base, {}, token === undefined ? undefined : { access_token: token });
let cursor: string | undefined;
if (login !== undefined) {
  remark(dim(`Signing in as ${login}: this ends the account's other session`));
  await client.signIn(login, password!).catch(judge);
}
for (let failures = 0;;) {
  const ended = await listenOnce();
  if (ended === "again") failures++;
  else if (ended.code === 4403) fail("The account is blocked", EXIT.blocked);
  else if (ended.code === 4401) await renew();
  else failures = ended.heard ? 0 : failures + 1;
  const pause = RETRY_BACKOFF(failures + 1);
  const why = ended === "again" ? "no connection" : `connection closed (${ended.code} ${harmless(ended.reason)})`;
  remark(dim(`… ${why}; retrying in ${(pause / 1_000).toFixed(1)} s`));
  await sleep(pause);
}

/** One connection, from ticket to close. A rejected ticket has a reason; a rejected handshake does not. */
async function listenOnce(): Promise<Ended | "again"> {
  let ticket: string;
  try {
    ({ ticket } = await client.call<{ ticket: string }>("POST", "/feed/ticket"));
  } catch (error) {
    return judge(error);
  }
  const url = new URL(`${base.replace(/^http/, "ws")}/api/v1/feed/live`);
  url.searchParams.set("ticket", ticket);
  if (cursor !== undefined) url.searchParams.set("cursor", cursor);
  const socket = new WebSocket(url);
  let heard = false;
  socket.onmessage = ({ data }) => {
    heard = true;
    const frame = JSON.parse(data) as Frame;
    cursor = frame.cursor ?? cursor;
    if (frame.type === "hello") remark(dim(`Listening at ${base}`));
    else if (frame.type === "reset") {
      // Missed events cannot be recovered. The stream is complete again from the last `hello`.
      remark(styled("yellow", `Some events may be missing: the cursor is ${frame.reason}`, Deno.stderr));
    } else if (frame.type !== "heartbeat") { for (const line of shown(frame)) say(line); }
  };
  return await new Promise((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason, heard });
    socket.onerror = () => {};
  });
}

/** The session or only the token has ended; a refresh shows which. */
async function renew(): Promise<void> {
  if (!client.canRefresh) fail("The session or the token has ended", EXIT.session);
  await client.refresh().catch(judge);
}

function judge(error: unknown): "again" {
  if (error instanceof Unreachable) return "again";
  if (!(error instanceof Problem)) fail(error instanceof Error ? error.message : String(error), EXIT.failed);
  if (error.slug === "account-blocked") fail("The account is blocked", EXIT.blocked);
  if (error.status === 401) fail(harmless(error.message), EXIT.session);
  if (error.slug === "invalid-cursor") cursor = undefined;
  else if (error.status !== 429 && error.status < 500) fail(harmless(error.message), EXIT.failed);
  return "again";
}

function dim(text: string): string {
  return styled("dim", text, Deno.stderr);
}
