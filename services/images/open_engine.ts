import type { ImageEngine } from "./engine.ts";

/** Loads only the requested engine: the crop process has no permission to load the other. */
export async function openEngine(name: ImageEngine["name"]): Promise<ImageEngine> {
  return name === "sharp"
    ? (await import("./sharp_engine.ts")).sharpEngine
    : (await import("./imagescript_engine.ts")).imagescriptEngine;
}
