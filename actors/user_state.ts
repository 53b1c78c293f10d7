import type { SentCode, UserActorRow } from "../db/users.ts";
import type { UserState } from "./user_commands.ts";

export function fromRow(row: UserActorRow): UserState {
  const {
    verify_nonce,
    verify_expires_at,
    verify_attempts,
    recover_nonce,
    recover_expires_at,
    verify_asked_at,
    recover_asked_at,
    change_asked_at,
    session_id,
    generation,
    issued_at,
    kid,
    ...user
  } = row;
  return {
    ...user,
    verify: sent(verify_nonce, verify_expires_at, verify_attempts),
    recover: sent(recover_nonce, recover_expires_at, 0),
    asked: { verify: verify_asked_at, recover: recover_asked_at, change: change_asked_at },
    session: session_id && issued_at && kid && generation !== null
      ? { id: session_id, generation, issued_at, kid }
      : null,
  };
}

function sent(nonce: string | null, expires_at: string | null, attempts: number): SentCode | null {
  return nonce && expires_at ? { nonce, expires_at, attempts } : null;
}
