/** What is longer than it should be. Lines may be taken out, none may come. */
export const LONG_FILES: readonly string[] = [];

/** The file, and the function's name, or how it begins. */
export const LONG_FUNCTIONS: readonly string[] = [
  "tests/browser/admin_page_test.ts: async (browser) => {",
  "tests/browser/errors_and_focus_test.ts: async (browser) => {",
  "workers/roles/node.ts: startNode",
];
