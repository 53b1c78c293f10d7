import { cropJobs, type PhotoResult, photoResultRow, userAvatar } from "../db/photos.ts";
import { type Account, photoUrl, renderAccount } from "../contract/render.ts";
import { commit, type Decision, timeOf } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";
import type { UserCommands, UserState } from "./user_commands.ts";
import { actRow } from "./user_profile.ts";

type State = UserState | null;

export function stageAvatar(
  state: UserState,
  { by, photo }: CommandOf<UserCommands, "stage_avatar">,
  now: number,
): Decision<State, null> {
  const act = actRow(state, by, picture(state.avatar_key), picture(photo.key));
  return commit(
    userAvatar.stage,
    { id: state.id, photos: [photo], at: timeOf(now), ...act },
    ({ staged }) => staged ? { value: null, jobs: cropJobs([photo.id]) } : { refusal: { code: "upload-expired" } },
  );
}

export function storeAvatarResult(state: UserState, photo: PhotoResult, now: number): Decision<State, null> {
  return commit(
    userAvatar.storeResult,
    { ...photoResultRow(photo, timeOf(now)), owner: state.id },
    ({ key }) => key === null ? { value: null } : { value: null, state: { ...state, avatar_key: key } },
  );
}

export function removeAvatar(
  state: UserState,
  { by }: CommandOf<UserCommands, "remove_avatar">,
  now: number,
): Decision<State, Account> {
  const bare = { ...state, avatar_key: null };
  const row = { id: state.id, at: timeOf(now), ...actRow(state, by, picture(state.avatar_key), picture(null)) };
  return commit(userAvatar.remove, row, () => ({ value: renderAccount(bare), state: bare }));
}

function picture(key: string | null): Record<string, unknown> {
  return { avatar_url: photoUrl(key) };
}
