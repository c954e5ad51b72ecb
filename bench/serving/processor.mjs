import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds that the kernel has given a thread; 0 of one that is gone or where the system does not tell. */
function threadMs(pid, thread) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return 0
  }
}

function listOf(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const childrenOf = (pid) =>
  listOf(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean)
    } catch {
      return []
    }
  })

/**
 * Processor time in milliseconds, user and system, up to now: of the server's process, of the first child's main thread
 * (the engine's JavaScript), of that child's other threads, and of this process, the client.
 */
export function processorTimes(pid) {
  const all = (process) => listOf(`/proc/${process}/task`).reduce((sum, task) => sum + threadMs(process, task), 0)
  const [child] = childrenOf(pid)
  const engineMain = child === undefined ? 0 : threadMs(child, child)
  const compute = child === undefined ? 0 : all(child) - engineMain
  return { server: all(pid), serverMain: threadMs(pid, pid), engineMain, compute, client: all('self') }
}

/** What was used between two looks, in microseconds a token. */
export const perToken = (before, after, tokens) =>
  Object.fromEntries(Object.keys(before).map((name) => [name, (1000 * (after[name] - before[name])) / tokens]))
