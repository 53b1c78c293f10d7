import type { VideoRow } from "./methods.ts";

/** A video in a response. */
export interface Video {
  id: string;
  title: string;
  description: string;
  duration_s: number | null;
  published_at: string | null;
  views: number | null;
  preview_url: string | null;
  player_url: string | null;
}

export function videoOf(row: VideoRow): Video {
  const previews = [...row.image ?? []].sort((a, b) => b.width - a.width);
  return {
    id: `${row.owner_id}_${row.id}`,
    title: row.title,
    description: row.description,
    duration_s: row.duration ?? null,
    published_at: timeOf(row.date),
    views: row.views ?? null,
    preview_url: previews[0]?.url ?? null,
    player_url: row.player ?? null,
  };
}

/** From seconds; values outside the calendar are undefined. */
function timeOf(seconds: number | undefined): string | null {
  if (seconds === undefined || seconds > 253_402_300_799) return null;
  return new Date(seconds * 1_000).toISOString();
}
