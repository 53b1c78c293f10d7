/** The live stream: a WebSocket that reconnects, and frames that wait while a list is read. */
import { $ } from "./page.js";
import { account, API, call } from "./session.js";

let socket;
let retry;
let failures = 0;
/** Everything up to this cursor was shown. */
let cursor;
let handlers;
/** Number of lists being read, and the frames that wait for them. */
let readers = 0;
let held = [];

/** `onFrame` gets each frame. `onEnd` is called when the session seems to have ended, and may disconnect. */
export function listen(onFrame, onEnd) {
  handlers = { onFrame, onEnd };
  void connect();
}

/** Sets the start cursor, unless events were received already. */
export function beginAt(position) {
  cursor ??= position;
}

export function hangUp() {
  const open = socket;
  socket = undefined;
  if (!account) cursor = undefined;
  clearTimeout(retry);
  held = [];
  open?.close();
  show(false);
}

async function connect() {
  hangUp();
  try {
    const { ticket } = await call("POST", "/feed/ticket");
    if (!account) return;
    const query = new URLSearchParams({ ticket, ...(cursor && { cursor }) });
    const url = new URL(`${API}/feed/live?${query}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const opened = socket = new WebSocket(url);
    opened.onmessage = ({ data }) => opened === socket && take(JSON.parse(data));
    opened.onclose = ({ code }) => opened === socket && closed(code);
  } catch (problem) {
    // A response for the previous person.
    if (problem.left) return;
    closed(problem.status === 401 ? 4401 : 0);
  }
}

function closed(code) {
  show(false);
  if (!account) return;
  if (code === 4401 || code === 4403) handlers.onEnd(code);
  // Random growing delays, so that clients do not all reconnect at once after a restart.
  const pause = Math.min(30_000, 500 * 2 ** Math.min(failures++, 6)) * (0.5 + Math.random());
  retry = setTimeout(connect, pause);
}

function show(on) {
  $("live").dataset.state = on ? "on" : "off";
  $("live").textContent = on ? "live" : "not live";
}

/** Runs `read`. Frames received meanwhile wait, because they may be newer than its result. */
export async function holding(read) {
  readers++;
  try {
    await read();
  } finally {
    readers--;
    const frames = held;
    held = [];
    for (const frame of frames) take(frame);
  }
}

function take(frame) {
  if (readers > 0) return void held.push(frame);
  if (frame.type === "hello") {
    failures = 0;
    show(true);
  }
  handlers.onFrame(frame);
  // Only after it was shown: frames that were not shown must be sent again.
  if (frame.cursor) cursor = frame.cursor;
}
