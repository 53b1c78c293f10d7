/** Every command of `deno task` that reads arguments; `fmt`, `lint` and `check` are Deno's own. */
import { admin } from "./admin.ts";
import { backup, restore } from "./backup.ts";
import { bench } from "./bench.ts";
import { cluster } from "./cluster.ts";
import { completions } from "./completions.ts";
import type { TaskCommand, TaskName } from "./define.ts";
import { demo } from "./demo.ts";
import { jobs } from "./jobs.ts";
import { keys } from "./keys.ts";
import { kv } from "./kv.ts";
import { listen } from "./listen.ts";
import { moderationVerify } from "./moderation_verify.ts";
import { dev, migrate, ok, settings, start, statements, statsRebuild, upgrade } from "./plain.ts";
import { storageScrub } from "./storage_scrub.ts";
import { browser, chaos, tasks, test } from "./test.ts";
import { vkFake } from "./vk_fake.ts";

export const COMMANDS: ReadonlyMap<TaskName, TaskCommand> = new Map(
  [
    ...[
      admin,
      backup,
      restore,
      bench,
      cluster,
      completions,
      demo,
      jobs,
      keys,
      kv,
      listen,
      moderationVerify,
      storageScrub,
      vkFake,
    ],
    ...[dev, migrate, ok, settings, start, statements, statsRebuild, upgrade, chaos, browser, tasks, test],
  ].map((command: TaskCommand) => [command.name, command]),
);
