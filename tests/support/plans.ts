/** The plans that Postgres makes for a statement. */
import type { Param, Sql } from "../../db/sql.ts";
import { encodeParam, keptName } from "../../db/values.ts";

interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Schema"?: string;
  "Index Name"?: string;
  "Index Cond"?: string;
  Filter?: string;
  "Parent Relationship"?: string;
  Plans?: Node[];
}

/**
 * From this execution on Postgres may keep a generic plan, if its cost is no higher than that of the custom plans
 * before.
 */
const KEPT_FROM = 6;

/**
 * The custom plan for these parameters, and the plan that a prepared statement ends up with. A generic plan that is
 * never kept does not matter: it takes `limit $1` for a tenth of the table.
 */
export async function plansOf(sql: Sql, text: string, params: readonly Param[]): Promise<Node[]> {
  const isKept = keptName("kept", params) !== undefined;
  const list = params.length > 0 ? `(${params.map(literal).join(", ")})` : "";
  const plans: Node[] = [];
  await sql.query(`prepare explained as ${text}`);
  for (let i = 0; i < (isKept ? KEPT_FROM : 1); i++) {
    const [row] = await sql.query<{ "QUERY PLAN": { Plan: Node }[] }>(
      `explain (format json, verbose) execute explained${list}`,
    );
    plans.push(row!["QUERY PLAN"][0]!.Plan);
  }
  await sql.query("deallocate explained");
  return isKept ? [plans[0]!, plans.at(-1)!] : plans;
}

function literal(param: Param): string {
  if (param === null) return "null";
  const text = param instanceof Uint8Array ? `\\x${param.toHex()}` : String(encodeParam(param));
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The tables that a plan reads from end to end: by a sequential scan, or by a complete index without a condition on it.
 */
export function fullScans(plan: Node, partialIndexes: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const visit = (node: Node, isLimited: boolean) => {
    const { "Relation Name": relation, Schema: schema, "Index Name": index } = node;
    const isScan = node["Node Type"] === "Seq Scan" ||
      /^Index (Only )?Scan$/.test(node["Node Type"]) && node["Index Cond"] === undefined &&
        !partialIndexes.has(index!) && !(isLimited && node.Filter === undefined);
    if (isScan && relation !== undefined) found.push(schema === "public" ? relation : `${schema}.${relation}`);
    for (const child of node.Plans ?? []) visit(child, endsEarly(node, child, isLimited));
  };
  visit(plan, false);
  return found;
}

/** Nodes that read no more rows of their first child than are read of them. */
const PASSING = new Set(["LockRows", "Nested Loop", "Result", "Subquery Scan"]);

function endsEarly(node: Node, child: Node, isLimited: boolean): boolean {
  if (node["Node Type"] === "Limit") return true;
  return isLimited && PASSING.has(node["Node Type"]) && child["Parent Relationship"] !== "Inner";
}
