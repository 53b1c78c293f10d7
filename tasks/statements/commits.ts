/** A statement of an actor's turn, as `defineCommit` made it. */
export interface CommitStatement {
  name: string;
  text: string;
  receipted: { name: string; text: string } | undefined;
  violations: Record<string, string>;
}

/** All that the query modules export, so that a new one is among them. */
export async function commitStatements(): Promise<CommitStatement[]> {
  const found: CommitStatement[] = [];
  for await (const { name } of Deno.readDir(new URL("../../db/", import.meta.url))) {
    if (!name.endsWith(".ts")) continue;
    const exported: Record<string, unknown> = await import(`../../db/${name}`);
    for (const value of Object.values(exported)) {
      // Some come in groups, as those of a picture.
      for (const one of [value, ...Object.values(value ?? {})]) {
        if (typeof one === "object" && one !== null && "text" in one && "violations" in one) {
          found.push(one as CommitStatement);
        }
      }
    }
  }
  return found;
}
