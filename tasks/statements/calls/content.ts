/** Pages, posts, photos, feeds, events, search, and the key–value store. */
import * as events from "../../../db/events.ts";
import * as feed from "../../../db/feed.ts";
import * as files from "../../../db/files.ts";
import * as follows from "../../../db/follows.ts";
import * as kv from "../../../db/kv.ts";
import * as pages from "../../../db/pages.ts";
import * as photos from "../../../db/photos.ts";
import * as posts from "../../../db/posts.ts";
import { type Search, search } from "../../../db/search/search.ts";
import { pruneSpellings } from "../../../db/search/spellings.ts";
import { AFTER, type Call, ID } from "./call.ts";

const PAIRS: kv.PairsToWrite = { space: ID, keys: ["key"], values: ["1"], ttlS: null, receipt: undefined };
const SEARCH: Omit<Search, "sections"> = { q: "words", limit: 20, verifiedOnly: false };

export const CONTENT_CALLS: readonly Call[] = [
  (sql) => events.sequencerState(sql),
  (sql) => events.emitLikeEvents(sql, { partition: 0, epoch: 1 }, 100),
  (sql) => events.eventsAfter(sql, 1, 100),
  (sql) => events.replay(sql, { user: ID, after: 1, upTo: 2, limit: 100 }),
  (sql) => events.livePosts(sql, [ID]),
  (sql) => events.pruneEvents(sql, 1_000, 100),
  (sql) => events.pruneTombstones(sql, 1_000),

  (sql) => feed.feedHead(sql, ID),
  (sql) => feed.feedPosts(sql, ID, { limit: 20 }),
  (sql) => feed.feedPosts(sql, ID, { limit: 20, after: AFTER }),
  (sql) => feed.feedPostsById(sql, ID, [ID]),
  (sql) => feed.listenerSnapshot(sql, ID),

  (sql) => files.announceFiles(sql, ["key"], 1_000),
  (sql) => files.dropUploads(sql, ["key"]),
  (sql) => files.takeDueFiles(sql, 100),
  (sql) => files.pruneFiles(sql, ["key"]),
  (sql) => files.pruneFailedUploads(sql, 1_000),
  (sql) => files.cropForgotten(sql),
  (sql) => files.knownFiles(sql, ["key"]),
  (sql) => files.neededFiles(sql, ["key"]),
  (sql) => files.expectedFiles(sql, "", 100),

  (sql) => follows.followersOf(sql, ID, { state: "following", limit: 20 }),
  (sql) => follows.followersOf(sql, ID, { state: "following", limit: 20, after: AFTER }),

  (sql) => kv.readPairs(sql, ID, ["key"], { maxBytes: 1_000, versions: true }),
  (sql) => kv.revisionOf(sql, ID),
  (sql) => kv.listKeys(sql, ID, { prefix: "", after: undefined, limit: 20 }),
  (sql) => kv.listKeys(sql, ID, { prefix: "key", after: "key", limit: 20 }),
  (sql) => kv.insertPairs(sql, [PAIRS]),
  (sql) => kv.writePairs(sql, [PAIRS], true),
  (sql) => kv.writeIfVersion(sql, PAIRS, [1]),
  (sql) => kv.deletePairs(sql, ID, ["key"]),
  (sql) => kv.prunePairs(sql, 100),

  (sql) => pages.loadPageActor(sql, ID),
  (sql) => pages.pageById(sql, ID, ID),
  (sql) => pages.livePages(sql, [ID]),
  (sql) => pages.pageIdByHandle(sql, "handle"),
  (sql) => pages.pagesOf(sql, ID, { owner: ID, withBlocked: false, limit: 20 }),
  (sql) => pages.pagesOf(sql, ID, { owner: ID, withBlocked: true, limit: 20, after: AFTER }),
  (sql) => pages.followedPages(sql, ID, { state: "following", limit: 20 }),
  (sql) => pages.followedPages(sql, ID, { state: "following", limit: 20, after: AFTER }),
  (sql) => pages.maySeePosts(sql, ID, ID),
  (sql) => pages.pruneOldHandles(sql),

  (sql) => photos.photoByKey(sql, ID, "key"),
  (sql) => photos.photoStates(sql, [ID]),
  (sql) => photos.ownerOfPhoto(sql, ID),

  (sql) => posts.unreadyPosts(sql, ID, { page: ID, state: "failed", limit: 20 }),
  (sql) => posts.unreadyPosts(sql, ID, { page: ID, state: "failed", limit: 20, after: AFTER }),
  (sql) => posts.postById(sql, ID, ID),
  (sql) => posts.pageOfPost(sql, ID),
  (sql) => posts.postsOfPage(sql, ID, { page: ID, limit: 20 }),
  (sql) => posts.postsOfPage(sql, ID, { page: ID, limit: 20, after: AFTER }),
  (sql) => posts.repliesTo(sql, ID, { post: ID, limit: 20 }),
  (sql) => posts.repliesTo(sql, ID, { post: ID, limit: 20, after: AFTER }),
  (sql) => posts.likedPosts(sql, ID, { limit: 20 }),
  (sql) => posts.likedPosts(sql, ID, { limit: 20, after: AFTER }),

  (sql) => search(sql, ID, { ...SEARCH, sections: ["pages"] }),
  (sql) => search(sql, ID, { ...SEARCH, sections: ["users"] }),
  (sql) => search(sql, ID, { ...SEARCH, sections: ["pages", "users"] }),
  (sql) => search(sql, ID, { ...SEARCH, sections: ["pages"], after: { rank: 1, followers: 1, id: ID } }),
  (sql) => pruneSpellings(sql, ""),
];
