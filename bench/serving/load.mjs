import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { stream } from './client.mjs'
import { exponentialMs } from './random.mjs'

/** How long what is open when the arrivals end may take, unless told otherwise; then it is cut off. */
const longestDrainMs = 120_000

/** Most requests open at once on our side; arrivals beyond are counted as failed: the generator could not keep up. */
const maxOpen = 3000

/**
 * Open loop: requests arrive at `rate` a second, independently of each other and of the answers, for `seconds` or until
 * `count` of them came. Resolves when all are answered or cut off.
 */
export async function openLoop(
  server,
  { rate, seconds = Number.POSITIVE_INFINITY, count, drainMs = longestDrainMs, random, requestOf },
) {
  const results = []
  const open = new Set()
  const late = new AbortController()
  setMaxListeners(0, late.signal)
  const from = performance.now()
  let next = from
  for (let i = 0; i < (count ?? Number.POSITIVE_INFINITY); i++) {
    next += exponentialMs(random, rate)
    if (next - from > seconds * 1000) break
    const wait = next - performance.now()
    if (wait > 0) await sleep(wait)
    if (open.size >= maxOpen) {
      results.push({ start: next, end: next, tokens: [], outcome: 'failed', reason: 'not sent: too many are open' })
      continue
    }
    const request = stream(server, { ...requestOf(i), signal: late.signal }).then((result) => {
      results.push(result)
      open.delete(request)
    })
    open.add(request)
  }
  const to = Math.max(performance.now(), Number.isFinite(seconds) ? from + seconds * 1000 : 0)
  const timer = setTimeout(() => late.abort(), drainMs)
  await Promise.all(open)
  clearTimeout(timer)
  return { results, from, to }
}

/** Closed loop: `clients` of them, each asking again as soon as it is answered, for `seconds`; what is open then is cut off in time. */
export async function closedLoop(server, { clients, seconds, drainMs = longestDrainMs, requestOf }) {
  const results = []
  const from = performance.now()
  const to = from + seconds * 1000
  const late = new AbortController()
  setMaxListeners(0, late.signal)
  const timer = setTimeout(() => late.abort(), seconds * 1000 + drainMs)
  let asked = 0
  const client = async () => {
    while (performance.now() < to) results.push(await stream(server, { ...requestOf(asked++), signal: late.signal }))
  }
  await Promise.all(Array.from({ length: clients }, client))
  clearTimeout(timer)
  return { results, from, to }
}
