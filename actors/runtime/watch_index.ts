/** Indexes actors by the pages whose events they receive. */
export class WatchIndex<Watcher extends object> {
  #byPage = new Map<string, Set<Watcher>>();
  #byWatcher = new Map<Watcher, Set<string>>();

  of(page: string): Iterable<Watcher> {
    return this.#byPage.get(page) ?? [];
  }

  has(watcher: Watcher, page: string): boolean {
    return this.#byWatcher.get(watcher)?.has(page) ?? false;
  }

  /** Replaces the pages that this one watches. */
  set(watcher: Watcher, pages: Iterable<string>): void {
    const wanted = pages instanceof Set ? pages as Set<string> : new Set(pages);
    const had = this.#byWatcher.get(watcher);
    if (had === wanted) return;
    for (const page of had ?? []) if (!wanted.has(page)) this.#remove(watcher, page);
    for (const page of wanted) {
      if (had?.has(page)) continue;
      const watchers = this.#byPage.get(page);
      if (watchers) watchers.add(watcher);
      else this.#byPage.set(page, new Set([watcher]));
    }
    if (wanted.size > 0) this.#byWatcher.set(watcher, wanted);
    else this.#byWatcher.delete(watcher);
  }

  forget(watcher: Watcher): void {
    this.set(watcher, []);
  }

  #remove(watcher: Watcher, page: string): void {
    const watchers = this.#byPage.get(page);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byPage.delete(page);
  }
}
