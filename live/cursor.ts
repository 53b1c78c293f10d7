import { wrongCursor } from "../contract/cursors.ts";

/** A position in the history of one database. Opaque to callers. */
export interface LiveCursor {
  /** The id of the history; a restore starts a new one. */
  historyId: string;
  seq: number;
}

export function encodeLiveCursor({ historyId, seq }: LiveCursor): string {
  return btoa(`${historyId}:${seq}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Throws `invalid-cursor` for anything that is not a cursor. */
export function decodeLiveCursor(text: string): LiveCursor {
  try {
    const match = /^([0-9a-f-]{36}):(\d{1,15})$/.exec(
      atob(text.replaceAll("-", "+").replaceAll("_", "/")).toLowerCase(),
    );
    if (match?.[1] && match[2]) return { historyId: match[1], seq: Number(match[2]) };
  } catch {
    // Not base64: the same error.
  }
  throw wrongCursor("cursor", "The cursor was not issued by this server");
}
