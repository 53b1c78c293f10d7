/** The users of the fake VK: one of each kind that a client must handle, and any number of plain ones. */
export interface FakeUser {
  id: number;
  first_name: string;
  last_name: string;
  screen_name: string;
  /** The native spelling, returned in the languages of that alphabet. */
  native?: { first_name: string; last_name: string };
  deactivated?: "deleted" | "banned";
  /** A closed profile, and the friends who may see it. */
  closed?: { friends: readonly number[] };
  online: boolean;
  /** Hides the time they were last online. */
  hidesOnline?: true;
  status: string;
  followers: number;
  /** VK omits the counters. */
  noCounters?: true;
  wall: { posts: number } | { code: number; message: string };
  /** Their number, and one in how many is hidden; or all are hidden. */
  videos: { count: number; oneHiddenIn?: number } | "hidden";
}

const HID_WALL = { code: 15, message: "Access denied: user hid his wall from accessing from outside" };
const DISABLED_WALL = { code: 15, message: "Access denied: wall is disabled" };
const PLAIN = {
  last_name: "Test",
  online: true,
  status: "",
  followers: 62,
  wall: { posts: 14 },
  videos: { count: 8 },
} as const;

export const KINDS: readonly (FakeUser & { kind: string })[] = [
  {
    ...PLAIN,
    id: 101,
    kind: "open, online",
    first_name: "Anna",
    screen_name: "anna_test",
    status: "hello",
    native: { first_name: "Анна", last_name: "Тест" },
  },
  {
    ...PLAIN,
    id: 102,
    kind: "deleted",
    first_name: "DELETED",
    last_name: "",
    screen_name: "gone",
    deactivated: "deleted",
  },
  { ...PLAIN, id: 103, kind: "banned", first_name: "Boris", screen_name: "boris_banned", deactivated: "banned" },
  { ...PLAIN, id: 104, kind: "closed", first_name: "Clara", screen_name: "clara_closed", closed: { friends: [] } },
  {
    ...PLAIN,
    id: 105,
    kind: "closed, seen by friends (101)",
    first_name: "Fedor",
    screen_name: "fedor_friends",
    closed: { friends: [101] },
  },
  { ...PLAIN, id: 106, kind: "hidden wall", first_name: "Vera", screen_name: "vera_wall", wall: HID_WALL },
  { ...PLAIN, id: 107, kind: "disabled wall", first_name: "Dina", screen_name: "dina_wall", wall: DISABLED_WALL },
  {
    ...PLAIN,
    id: 108,
    kind: "nothing yet, offline",
    first_name: "Zoya",
    screen_name: "zoya_zero",
    online: false,
    followers: 0,
    wall: { posts: 0 },
    videos: { count: 0 },
  },
  {
    ...PLAIN,
    id: 109,
    kind: "no counters",
    first_name: "Nina",
    screen_name: "nina_none",
    noCounters: true,
    native: { first_name: "Нина", last_name: "Тест" },
  },
  { ...PLAIN, id: 110, kind: "hides being online", first_name: "Oleg", screen_name: "oleg_hidden", hidesOnline: true },
  {
    ...PLAIN,
    id: 111,
    kind: "hidden videos, offline with a status",
    first_name: "Ivan",
    screen_name: "ivan.videos",
    online: false,
    status: "away 🦉",
    noCounters: true,
    videos: "hidden",
  },
  {
    ...PLAIN,
    id: 112,
    kind: "250 videos, some of them hidden",
    first_name: "Мария",
    last_name: "Иванова",
    screen_name: "maria_movies",
    videos: { count: 250, oneHiddenIn: 7 },
  },
  {
    ...PLAIN,
    id: 113,
    kind: "blocked content",
    first_name: "Gleb",
    screen_name: "gleb_blocked",
    wall: { code: 19, message: "Content blocked" },
  },
];

/** The one community. */
export const COMMUNITY = { id: 3001, screen_name: "rookery_club" };
/** No user has a higher id. */
const LAST_ID = 999_999_999;

const FIRST_NAMES = ["Alex", "Sasha", "Kira", "Lev", "Maya", "Roma", "Toma", "Yana"];
const LAST_NAMES = ["Birch", "Drozd", "Falk", "Gull", "Heron", "Martin", "Rook", "Swift"];

export function userById(id: number): FakeUser | undefined {
  if (!Number.isInteger(id) || id < 1 || id > LAST_ID) return undefined;
  return KINDS.find((user) => user.id === id) ?? plainUser(id);
}

/** By screen name; every user also has `id` and their number. */
export function userByName(name: string): FakeUser | undefined {
  const id = /^id([1-9]\d{0,14})$/i.exec(name)?.[1];
  return id === undefined ? KINDS.find((user) => user.screen_name === name.toLowerCase()) : userById(Number(id));
}

/** Deterministic by id. */
function plainUser(id: number): FakeUser {
  return {
    id,
    first_name: FIRST_NAMES[id % FIRST_NAMES.length]!,
    last_name: LAST_NAMES[Math.floor(id / FIRST_NAMES.length) % LAST_NAMES.length]!,
    screen_name: `id${id}`,
    online: id % 2 === 0,
    status: id % 3 === 0 ? "feeding the crows" : "",
    followers: id % 1_000,
    wall: { posts: id % 50 },
    videos: { count: id % 20 },
  };
}
