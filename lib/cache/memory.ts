import type { Cache } from "./cache.ts";

/** Beyond this many keys the least recently used are evicted. */
const MAX_KEYS = 100_000;
const SWEEP_MS = 30_000;

interface Entry {
  value: string;
  expires: number;
}

/** The in-process driver. */
export class MemoryCache implements Cache {
  /** In order of use: the first is the least recently used. */
  private readonly entries = new Map<string, Entry>();
  private readonly sweeper: ReturnType<typeof setInterval>;

  constructor(private readonly maxKeys = MAX_KEYS) {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS);
    Deno.unrefTimer(this.sweeper);
  }

  async get(key: string): Promise<string | null> {
    const entry = this.alive(key);
    if (!entry) return null;
    this.put(key, entry);
    return entry.value;
  }

  async set(key: string, value: string, ttlMs: number, options: { onlyNew?: boolean } = {}): Promise<boolean> {
    if (options.onlyNew && this.alive(key)) return false;
    this.put(key, { value, expires: Date.now() + ttlMs });
    return true;
  }

  async take(key: string): Promise<string | null> {
    const entry = this.alive(key);
    this.entries.delete(key);
    return entry?.value ?? null;
  }

  async delete(key: string): Promise<void> {
    this.entries.delete(key);
  }

  async increment(key: string, by: number, ttlMs: number): Promise<{ value: number; leftMs: number }> {
    const entry = this.alive(key) ?? { value: "0", expires: Date.now() + ttlMs };
    const value = Number(entry.value) + by;
    this.put(key, { value: String(value), expires: entry.expires });
    return { value, leftMs: entry.expires - Date.now() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.sweeper);
    this.entries.clear();
  }

  private alive(key: string): Entry | undefined {
    const entry = this.entries.get(key);
    if (entry && entry.expires > Date.now()) return entry;
    this.entries.delete(key);
  }

  private put(key: string, entry: Entry): void {
    this.entries.delete(key);
    this.entries.set(key, entry);
    if (this.entries.size <= this.maxKeys) return;
    const oldest = this.entries.keys().next();
    if (!oldest.done) this.entries.delete(oldest.value);
  }

  private sweep(): void {
    const now = Date.now();
    for (const [key, entry] of this.entries) if (entry.expires <= now) this.entries.delete(key);
  }
}
