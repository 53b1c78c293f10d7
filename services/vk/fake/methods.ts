import { FakeError } from "./error.ts";
import { captcha } from "./faults.ts";
import type { Params } from "./params.ts";
import type { Switches } from "./switches.ts";
import { type Holder, holderOf } from "./tokens.ts";
import { COMMUNITY, type FakeUser, userById, userByName } from "./world.ts";

export interface Asked {
  holder: Holder;
  params: Params;
  switches: Switches;
  now: number;
}

interface Method {
  /** The kinds of tokens that it accepts. */
  takes: readonly Holder["kind"][];
  answer: (asked: Asked) => unknown;
}

const EVERYBODY = ["user", "group", "service"] as const;
const NO_GROUP = ["user", "service"] as const;
const PRIVATE = () => new FakeError(30, "This profile is private");

/** All methods of the fake except `execute`. */
export const METHODS: Readonly<Record<string, Method>> = {
  "users.get": { takes: EVERYBODY, answer: usersGet },
  "users.getFollowers": {
    takes: NO_GROUP,
    answer: (asked) => {
      const user = seen(asked, asked.params.integer("user_id"));
      const count = asked.params.whole("count", { least: 0, most: 1_000, standard: 100 });
      return { count: user.followers, items: numbers(user.id, Math.min(count, user.followers)) };
    },
  },
  "friends.get": {
    takes: NO_GROUP,
    answer: (asked) => {
      const user = seen(asked, asked.params.integer("user_id"));
      return { count: 5, items: numbers(user.id, 5) };
    },
  },
  "status.get": {
    takes: ["user"],
    answer: (asked) => ({ text: seen(asked, asked.params.integer("user_id")).status }),
  },
  "wall.get": { takes: NO_GROUP, answer: wallGet },
  "video.get": { takes: ["user"], answer: videoGet },
  "utils.resolveScreenName": {
    takes: EVERYBODY,
    answer: ({ params, switches }) => {
      const name = params.text("screen_name");
      if (name === undefined) throw params.wrong("screen_name", "is undefined");
      if (name.toLowerCase() === COMMUNITY.screen_name) return { type: "group", object_id: COMMUNITY.id };
      const user = userByName(name);
      if (user) return { type: "user", object_id: user.id };
      if (switches.unknown_name === "error") throw new FakeError(104, "Not found");
      return [];
    },
  },
  "utils.getServerTime": { takes: EVERYBODY, answer: ({ now }) => Math.floor(now / 1_000) },
  "secure.checkToken": {
    takes: ["service"],
    answer: ({ params, now }) => {
      try {
        const holder = holderOf(params.text("token") ?? "");
        return {
          success: 1,
          user_id: holder.kind === "user" ? holder.id : 0,
          date: Math.floor(now / 1_000),
          expire: 0,
        };
      } catch {
        throw new FakeError(15, "Access denied: Incorrect token invalid_token");
      }
    },
  },
  "captcha.force": {
    takes: EVERYBODY,
    answer: () => {
      throw captcha("new", "239633676000");
    },
  },
};

function usersGet({ holder, params, switches }: Asked): unknown[] {
  const named = params.list("user_ids");
  const fields = new Set(params.list("fields"));
  if (named.length > 1_000) throw params.wrong("user_ids");
  if (named.length === 0 && holder.kind !== "user") {
    if (switches.nobody_named === "error") throw params.wrong("user_ids", "is undefined");
    return [];
  }
  const names = named.length > 0 ? named : [String((holder as { id: number }).id)];
  const found = names.flatMap((name) => {
    const isNumber = /^\d+$/.test(name);
    const user = isNumber ? userById(Number(name)) : userByName(name);
    if (user) return [user];
    if (!isNumber || switches.unknown_id === "error") throw new FakeError(113, "Invalid user id");
    return [];
  });
  const counts = found.length === 1 && (holder.kind === "user" || switches.service_counters);
  // In another order than requested, as VK may do.
  const lang = params.text("lang");
  return found.reverse().map((user) => shown(inLanguage(user, lang), holder, fields, counts, switches));
}

/** Without `lang` names are transliterated. */
function inLanguage(user: FakeUser, lang: string | undefined): FakeUser {
  return user.native && ["ru", "uk", "be"].includes(lang ?? "") ? { ...user, ...user.native } : user;
}

function shown(user: FakeUser, holder: Holder, fields: Set<string>, counts: boolean, switches: Switches): unknown {
  const { id, first_name, last_name, deactivated } = user;
  const open = isOpenTo(user, holder);
  const flags = { is_closed: user.closed !== undefined, can_access_closed: open };
  if (deactivated) return { id, first_name, last_name, deactivated, ...(switches.gone_flags ? flags : {}) };
  const online = user.hidesOnline ? 0 : Number(user.online);
  const optional: Record<string, unknown> = {
    online,
    online_info: user.hidesOnline
      ? { visible: false, status: "recently" }
      : { visible: true, is_online: user.online, is_mobile: false, last_seen: 1_700_000_000 },
    // A closed profile hides these.
    ...(open && {
      status: user.status,
      followers_count: user.followers,
      last_seen: { platform: 7, time: 1_700_000_000 },
      ...(counts && !user.noCounters && { counters: countersOf(user) }),
    }),
  };
  const asked = Object.entries(optional).filter(([name]) => fields.has(name));
  return { id, first_name, last_name, ...flags, ...Object.fromEntries(asked) };
}

function countersOf({ followers, videos, wall }: FakeUser): unknown {
  return {
    albums: 0,
    audios: 3,
    photos: 2,
    friends: 96,
    followers,
    ...(videos !== "hidden" && { videos: videos.count }),
    ...("posts" in wall && { posts: wall.posts }),
  };
}

function wallGet(asked: Asked): unknown {
  const { params, holder } = asked;
  const count = params.whole("count", { least: 0, most: 100, standard: 20 });
  const offset = params.whole("offset", { least: 0, most: 1_000_000, standard: 0 });
  const domain = params.text("domain");
  const owner = params.integer("owner_id") ?? (domain === undefined ? undefined : ownerNamed(domain));
  if (owner === undefined && holder.kind !== "user") throw params.wrong("owner_id", "is undefined");
  if (owner === -COMMUNITY.id) {
    throw new FakeError(15, "Access denied: this wall available only for community members");
  }
  const user = seen(asked, owner);
  const { wall } = user;
  if (!("posts" in wall)) throw new FakeError(wall.code, wall.message);
  const first = wall.posts - offset;
  const items = numbers(0, Math.max(0, Math.min(count, first))).map((i) => post(user.id, first - i + 1));
  return { count: wall.posts, items };
}

function post(owner: number, id: number): unknown {
  return {
    inner_type: "wall_wallpost",
    id,
    from_id: owner,
    owner_id: owner,
    date: 1_636_221_723 + id,
    type: "post",
    post_type: "post",
    text: `Post ${id}`,
    attachments: [],
    comments: { can_post: 1, count: 0 },
    likes: { can_like: 1, count: 0, user_likes: 0 },
    reposts: { count: 0, user_reposted: 0 },
    views: { count: 3 },
  };
}

/** Hidden videos are missing in the items, but included in the count: a page may be short. */
function videoGet(asked: Asked): unknown {
  const { params } = asked;
  const count = params.whole("count", { least: 0, most: 200, standard: 100 });
  const offset = params.whole("offset", { least: 0, most: 1_000_000, standard: 0 });
  const { id: owner, videos } = seen(asked, params.integer("owner_id"));
  if (videos === "hidden") throw new FakeError(204, "Access denied");
  const { oneHiddenIn = Infinity } = videos;
  const here = numbers(offset, Math.max(0, Math.min(count, videos.count - offset)));
  return { count: videos.count, items: here.filter((id) => id % oneHiddenIn !== 0).map((id) => videoAt(owner, id)) };
}

function videoAt(owner: number, id: number): unknown {
  return {
    id,
    owner_id: owner,
    title: `Video ${id}`,
    description: "",
    duration: 60 + id,
    date: 1_600_000_000 + id,
    adding_date: 1_600_000_000 + id,
    views: id,
    comments: 0,
    likes: { count: 0, user_likes: 0 },
    image: [320, 800].map((width) => ({
      url: `https://i.fake.test/${owner}_${id}_${width}.jpg`,
      width,
      height: width / 2,
    })),
    player: `https://vk.com/video_ext.php?oid=${owner}&id=${id}`,
    type: "video",
    can_add: 1,
  };
}

/** The user of a method, if this token may see more than a name. Throws VK's error otherwise. */
function seen({ holder, params }: Asked, id = holder.kind === "user" ? holder.id : undefined): FakeUser {
  if (id === undefined) throw params.wrong("user_id", "is undefined");
  const user = userById(id);
  if (!user) throw params.wrong("owner_id");
  if (user.deactivated) throw new FakeError(18, "User was deleted or banned");
  if (!isOpenTo(user, holder)) throw PRIVATE();
  return user;
}

function isOpenTo({ id, closed }: FakeUser, holder: Holder): boolean {
  return !closed || (holder.kind === "user" && (holder.id === id || closed.friends.includes(holder.id)));
}

function ownerNamed(name: string): number {
  if (name.toLowerCase() === COMMUNITY.screen_name) return -COMMUNITY.id;
  const user = userByName(name);
  if (!user) throw new FakeError(100, "One of the parameters specified was missing or invalid: domain is invalid");
  return user.id;
}

function numbers(after: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => after + i + 1);
}
