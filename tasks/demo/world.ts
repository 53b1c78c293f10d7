import { Random } from "./random.ts";
import { FIRST_NAMES, LAST_NAMES, PLACES, REPLIES, type Topic, TOPICS } from "./words.ts";

export interface Person {
  login: string;
  first_name: string;
  last_name: string;
  email: string;
}

export interface Page {
  /** The handle; a personal page's is its owner's login. */
  uuid: string;
  owner: number;
  name: string;
  description: string;
  tags: string[];
  is_private: boolean;
  personal: boolean;
  topic: Topic;
}

export interface Post {
  page: number;
  text: string;
  place: string | null;
  tagged: string[];
  /** The index of the earlier post that it replies to. */
  reply_to: number | null;
}

export interface World {
  people: Person[];
  pages: Page[];
  follows: { person: number; page: number; accepted: boolean }[];
  posts: Post[];
  likes: { person: number; post: number }[];
}

const REPLY_SHARE = 0.2;

/** A reproducible data set. The first people and pages are the popular ones. */
export function makeWorld(users: number, posts: number, seed: number): World {
  const random = new Random(seed);
  const people = makePeople(users, random);
  const pages = makePages(people, random);
  const follows = makeFollows(people, pages, random);
  const written = makePosts(people, pages, posts, random);
  return { people, pages, follows, posts: written, likes: makeLikes(people, pages, written, follows, random) };
}

function makePeople(count: number, random: Random): Person[] {
  const firsts = random.shuffled(FIRST_NAMES);
  const lasts = random.shuffled(LAST_NAMES);
  return Array.from({ length: count }, (_, i) => {
    const round = Math.floor(i / firsts.length);
    const first_name = firsts[i % firsts.length]!;
    const last_name = lasts[(i + round * 7) % lasts.length]!;
    // A number only when the combinations of names repeat.
    const login = `${first_name}${last_name}`.toLowerCase() + (round < lasts.length ? "" : String(round));
    return { login, first_name, last_name, email: `${login}@rookery.example` };
  });
}

function makePages(people: Person[], random: Random): Page[] {
  const personal = people.map(({ login, first_name }, owner): Page => {
    const topic = TOPICS[owner % TOPICS.length]!;
    const name = `${first_name} ${people[owner]!.last_name}`;
    return { uuid: login, owner, name, description: "", tags: [], is_private: false, personal: true, topic };
  });
  const more = people.flatMap(({ login, first_name }, owner): Page[] => {
    // The first person always has one, so that the smallest set has a page with requests.
    if (owner > 0 && !random.chance(0.45)) return [];
    const topic = random.pick(TOPICS);
    const is_private = owner === 0 || random.chance(0.25);
    const slug = topic.name.toLowerCase().replaceAll(" ", "-");
    const name = is_private ? `${topic.name}, among friends` : `${first_name}'s ${topic.name.toLowerCase()}`;
    const rest = { description: topic.about, tags: topic.tags, is_private, personal: false, topic };
    return [{ uuid: `${slug}-${login}`.slice(0, 64), owner, name, ...rest }];
  });
  return [...personal, ...more];
}

function makeFollows(people: Person[], pages: Page[], random: Random): World["follows"] {
  const order = pages.map((_, i) => i);
  return people.flatMap((_, person) => {
    const wanted = Math.min(pages.length - 2, 3 + random.below(12));
    const chosen = new Set<number>();
    for (let tries = 0; chosen.size < wanted && tries < 200; tries++) {
      // Half by popularity, half at random.
      const page = random.chance(0.5) ? random.skewed(order) : random.pick(order);
      if (pages[page]!.owner !== person) chosen.add(page);
    }
    return [...chosen].map((page) => ({ person, page, accepted: !pages[page]!.is_private || random.chance(0.6) }));
  });
}

function makePosts(people: Person[], pages: Page[], count: number, random: Random): Post[] {
  const used = new Set<string>();
  const posts: Post[] = [];
  // Posts that everybody may see: one cannot reply to a hidden post.
  const open: number[] = [];
  const order = random.shuffled(pages.map((_, i) => i));
  for (let n = 0; n < count; n++) {
    const isReply = open.length > 4 && random.chance(REPLY_SHARE);
    const page = isReply ? random.below(people.length) : random.skewed(order);
    const { topic } = pages[page]!;
    const reply_to = isReply ? random.skewed(open.slice(-30).reverse()) : null;
    const text = unique(used, page, () => isReply ? random.pick(REPLIES) : sentence(topic, random));
    posts.push({
      page,
      text,
      place: !isReply && random.chance(0.15) ? random.pick(PLACES) : null,
      tagged: !isReply && random.chance(0.08) ? [random.pick(people).login] : [],
      reply_to,
    });
    if (!isReply && !pages[page]!.is_private) open.push(n);
  }
  return posts;
}

function sentence({ openings, middles, endings }: Topic, random: Random): string {
  const [opening, middle, ending] = [random.pick(openings), random.pick(middles), random.pick(endings)];
  return random.chance(0.3) ? `${opening} ${middle}` : `${opening} ${middle} ${ending}`;
}

/** No text repeats on a page, because a second run recognises posts by their texts. */
function unique(used: Set<string>, page: number, make: () => string): string {
  for (let tries = 0;; tries++) {
    const text = tries < 30 ? make() : `${make()} (${tries - 28})`;
    const key = `${page} ${text}`;
    if (used.has(key)) continue;
    used.add(key);
    return text;
  }
}

function makeLikes(
  people: Person[],
  pages: Page[],
  posts: Post[],
  follows: World["follows"],
  random: Random,
): World["likes"] {
  const sees = new Set(follows.filter(({ accepted }) => accepted).map(({ person, page }) => `${person} ${page}`));
  return posts.flatMap(({ page }, post) => {
    const { is_private, owner } = pages[page]!;
    // Most posts get a few, some get many.
    const wanted = Math.floor(people.length ** (random.next() ** 1.5)) - 1;
    const fans = random.shuffled(people.map((_, i) => i)).slice(0, Math.min(wanted, 12));
    return fans
      .filter((person) => person !== owner && (!is_private || sees.has(`${person} ${page}`)))
      .map((person) => ({ person, post }));
  });
}
