/** The nodes of the cluster as a table, redrawn on a terminal. Elsewhere only changes are printed. */
import type { DirectoryRow } from "../../db/nodes.ts";
import { PARTITIONS } from "../../db/partitions.ts";
import { writeText } from "../../lib/write_text.ts";
import { say, type Style, styled } from "../terminal.ts";
import type { ClusterNode, NodeState } from "./node.ts";

const BAR_WIDTH = 32;
const STYLES: Partial<Record<NodeState, Style>> = { ready: "green", stopped: "red", "not-ready": "yellow" };

export class NodeTable {
  #drawn = 0;
  #known = new Map<string, string>();
  readonly #redraws = Deno.stdout.isTerminal();

  /** A line above the table. */
  note(line: string): void {
    this.#erase();
    say(this.#redraws ? line : `${new Date().toISOString().slice(11, 19)} ${line}`);
  }

  show(nodes: readonly ClusterNode[], directory: DirectoryRow): void {
    if (this.#redraws) return this.#draw(nodes, directory);
    for (const node of nodes) {
      const { partitions } = shareOf(node, directory);
      const line = `${node.name}: ${node.state}, ${partitions} partitions`;
      if (this.#known.get(node.name) === line) continue;
      this.#known.set(node.name, line);
      this.note(`${line} (${node.pid === undefined ? "" : `pid ${node.pid}, `}${node.url})`);
    }
  }

  #draw(nodes: readonly ClusterNode[], directory: DirectoryRow): void {
    const lines = [line("node", "pid", "address", "state", "lease left", "partitions")];
    for (const node of nodes) {
      const { leftMs, partitions } = shareOf(node, directory);
      const bar = "█".repeat(Math.ceil(BAR_WIDTH * partitions / PARTITIONS));
      const lease = leftMs === undefined ? "none" : `${(Math.max(0, leftMs) / 1_000).toFixed(1)} s`;
      const state = stateOf(node);
      const shown = line(
        node.name,
        String(node.pid ?? ""),
        node.url,
        state,
        lease,
        `${String(partitions).padStart(2)} ${bar}`,
      );
      lines.push(shown.replace(state, styled(STYLES[node.state] ?? "dim", state)));
    }
    this.#erase();
    writeText(lines.map((text) => `${text}\n`).join(""));
    this.#drawn = lines.length;
  }

  #erase(): void {
    if (this.#drawn > 0) writeText(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }
}

/** A node that was started again has another row than before. The last one counts. */
function shareOf({ url }: ClusterNode, { nodes, owners }: DirectoryRow): { leftMs?: number; partitions: number } {
  const row = nodes.findLast((each) => each.url === url);
  if (!row) return { partitions: 0 };
  return { leftMs: row.left_ms, partitions: owners.filter(({ node }) => node === row.id).length };
}

function stateOf({ state, restartsAt }: ClusterNode): string {
  if (state !== "stopped" || restartsAt === undefined) return state;
  return `stopped, ${Math.max(0, Math.ceil((restartsAt - Date.now()) / 1_000))} s`;
}

function line(...[node = "", pid = "", address = "", state = "", lease = "", partitions = ""]: string[]): string {
  return [node.padEnd(8), pid.padStart(7), address.padEnd(22), state.padEnd(12), lease.padStart(10), partitions]
    .join("  ");
}
