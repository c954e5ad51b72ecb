/**
 * Runs all of them. When one fails, or `signal` aborts, the others are cancelled, and it ends after the last has let go:
 * permits are given back then, and not before.
 */
export async function together<T>(
  signal: AbortSignal,
  starts: readonly ((signal: AbortSignal) => Promise<T>)[],
): Promise<readonly T[]> {
  const cancel = new AbortController()
  const follow = () => cancel.abort()
  signal.addEventListener('abort', follow)
  if (signal.aborted) follow()
  const runs = starts.map((start) => start(cancel.signal))
  try {
    return await Promise.all(runs)
  } catch (error) {
    cancel.abort()
    await Promise.allSettled(runs)
    throw error
  } finally {
    signal.removeEventListener('abort', follow)
  }
}
