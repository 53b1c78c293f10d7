/** A statement of an actor's turn, as `defineCommit` made it. */
export interface CommitStatement {
  name: string;
  text: string;
  receipted: { name: string; text: string } | undefined;
  violations: Record<string, string>;
}

/** Everything the query modules export, so that new statements are found. */
export async function commitStatements(): Promise<CommitStatement[]> {
  const found: CommitStatement[] = [];
  for await (const { name } of Deno.readDir(new URL("../../db/", import.meta.url))) {
    if (!name.endsWith(".ts")) continue;
    const exported: Record<string, unknown> = await import(`../../db/${name}`);
    for (const value of Object.values(exported)) {
      // Some are exported in groups, such as those of a picture.
      for (const one of [value, ...Object.values(value ?? {})]) {
        if (typeof one === "object" && one !== null && "text" in one && "violations" in one) {
          found.push(one as CommitStatement);
        }
      }
    }
  }
  return found;
}
