import { setTimeout as sleep } from 'node:timers/promises'
import { openLoop } from './load.mjs'
import { summarize } from './measure.mjs'
import { promptOf } from './prompts.mjs'
import { between } from './random.mjs'
import { metric, startLoquent } from './server.mjs'

const count = 1000
const rate = 25
/** Clients leave at a moment in this time, wherever their request is by then: in the queue, its prompt, or its answer. */
const patienceMs = 3000
const freedMs = 10_000
const args = ['--max-concurrent-requests', '1024', '--max-batch-total-tokens', '16384']

/** A thousand clients that leave at random moments: afterwards nothing is held, and the numbers add up. */
export async function disconnects({ model, threads, random, say }) {
  const server = await startLoquent({ model, threads, args })
  try {
    const requestOf = () => ({
      prompt: promptOf(random, between(random, [8, 64])),
      maxTokens: between(random, [16, 256]),
      leaveAfterMs: random() * patienceMs,
    })
    const { results, from, to } = await openLoop(server, { count, rate, random, requestOf })
    const last = performance.now()
    const held = () => metric(server, 'loquent_kv_blocks', '"held"')
    const busy = async () => (await held()) + (await metric(server, 'tgi_batch_current_size')) > 0
    while ((await busy()) && performance.now() - last < freedMs) await sleep(5)
    const freeAfterMs = performance.now() - last
    const left = await held()
    const summary = summarize(results, from, to)
    say(`${summary.left} left, ${summary.completed} completed; all free ${freeAfterMs.toFixed(0)} ms after the last`)
    const [seen, succeeded, failed] = await Promise.all(
      ['tgi_request_count', 'tgi_request_success', 'tgi_request_failure'].map((name) => metric(server, name)),
    )
    // A client that left before its request was read never was a request; one that left at its end may have succeeded.
    const addsUp = seen === succeeded + failed && seen <= count && succeeded >= summary.completed
    return {
      ...summary,
      freeAfterMs,
      blocksHeld: left,
      seen,
      succeeded,
      unsuccessful: failed,
      wanted: 'no block held, requests = successes + failures',
      holds: left === 0 && summary.failed === 0 && addsUp,
    }
  } finally {
    await server.stop()
  }
}
