/** What is longer than it should be. Lines may be taken out, none may come. */
export const LONG_FILES: readonly string[] = [];

/** The file, and the function's name, or how it begins. */
export const LONG_FUNCTIONS: readonly string[] = [
  "tests/browser/admin_page_test.ts: async (browser) => {",
  "tests/browser/errors_and_focus_test.ts: async (browser) => {",
  "tests/browser/errors_and_focus_test.ts: async (browser) => {",
  "tests/chaos/roles_test.ts: async () => {",
  "tests/db/moderation_log_test.ts: every changed, missing and swapped entry is found, and the first is reported",
  "tests/db/notification_history_test.ts: async act(act: keyof typeof WEIGHTS): Promise<void> {",
  "tests/http/cursors_test.ts: The cursor of a list about one target is rejected by the same list about another",
  "tests/http/cursors_test.ts: makeWorld",
  "tests/live/hidden_test.ts: The live feed of a page that is hidden and shown again",
  "tests/live/socket_test.ts: A live socket",
  "tests/support/block_workload.ts: blockWorkload",
  "tests/support/visibility_acts.ts: async next(): Promise<Person> {",
  "tests/tasks/backup/refused_test.ts: Invalid and newer backups, a running server and existing accounts are rejected",
  "workers/roles/node.ts: startNode",
];
