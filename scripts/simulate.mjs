// Runs the scheduler's simulator (dist/) over many seeds: `node scripts/simulate.mjs [to] [from]`, 10,000 of them by default.
import { simulateAll } from '../dist/engine/testing/simulate.js'

const [to = 10_000, from = 0] = process.argv.slice(2).map(Number)
const portion = 500
const sums = {}
for (let seed = from; seed < to; seed += portion) {
  const totals = await simulateAll(seed, Math.min(to, seed + portion))
  for (const [name, n] of Object.entries(totals)) sums[name] = (sums[name] ?? 0) + n
}
console.log(`simulator: ${to - from} seeds`, sums)
