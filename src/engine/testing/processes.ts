import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process that has ended and that nobody has asked about yet does not live, though it can be signalled. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Waits until none of these processes lives; fails when that takes more than five seconds. */
export async function gone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 5000
  while (pids.some(isAlive)) {
    if (performance.now() > deadline) throw new Error(`of the processes ${pids} one is left`)
    await sleep(5)
  }
}
