/** Resolves after `ms` milliseconds, or at once when the signal aborts. To know which, check the signal. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** The result of the work, or undefined if it takes longer. The work itself continues. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const waiting = new AbortController();
  try {
    return await Promise.race([work, sleep(ms, waiting.signal).then(() => undefined)]);
  } finally {
    waiting.abort();
  }
}
