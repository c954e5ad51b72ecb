import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { median } from '#dist/cli/statistics.js'
import { readOptions, threadCounts, words } from '../options.ts'
import { conditions } from '../roofline.ts'
import { printTable, short } from '../table.ts'
import { type Case, cases } from './cases.ts'
import { best, hopeful, type Tried } from './choose.ts'
import { besideNeighbour } from './neighbour.ts'
import { type Ours, openOurs } from './ours.ts'
import { findPeer, patienceFor, runPeer, type Setting, settingName } from './peer.ts'

const given = readOptions(
  'peer',
  'models',
  'name',
  'formats',
  'cases',
  'rounds',
  'threads',
  'our-threads',
  'isa',
  'minutes',
)
if (!given.peer || !given.models) {
  console.error('usage: versus --peer <folder of llama.cpp> --models <folder of NAME-FORMAT.gguf> [--name smol]')
  console.error(
    '  [--formats BF16,Q8_0,Q4_0] [--cases "decode 1,deep"] [--rounds 3] [--threads 1,2] [--our-threads 2] [--minutes 10]',
  )
  process.exit(2)
}
const peer = findPeer(given.peer)
const models = given.models
const name = given.name ?? 'smol'
const rounds = Number(given.rounds ?? 3)
const settings: readonly Setting[] = threadCounts(given.threads).flatMap((threads) =>
  [true, false].map((flashAttention) => ({ threads, flashAttention })),
)
/** Cases that have not begun by then are left out. */
const minutes = Number(given.minutes ?? 10)
const started = performance.now()
const late = (): boolean => performance.now() - started > 60_000 * minutes
const leftOut: string[] = []
const engine = {
  ...(given['our-threads'] && { threads: Number(given['our-threads']) }),
  ...(given.isa && { isa: given.isa }),
}

/** Formats in the order of the table, then whatever else is there. */
const usual = ['BF16', 'Q8_0', 'Q4_0', 'Q4_K']

/** How many times as long as the quickest setting one may take. */
const slower = 2.5

interface Result {
  readonly format: string
  readonly dtype: string
  readonly case: string
  readonly ours: readonly number[]
  readonly peer: readonly { readonly setting: Setting; readonly rates: readonly number[] }[]
  readonly rate: number
  readonly peerRate: number
  readonly peerSetting: string
  readonly ratio: number
  /** Of the luckiest rounds: what is left of a ratio when neighbours disturb either side. */
  readonly bestRatio: number
  readonly goal: number
  readonly seconds: number
}

function formatsHere(): readonly string[] {
  const found = readdirSync(models)
    .filter((f) => f.startsWith(`${name}-`) && f.endsWith('.gguf'))
    .map((f) => f.slice(name.length + 1, -'.gguf'.length))
  const wanted = given.formats ? words(given.formats) : [...usual.filter((f) => found.includes(f))]
  for (const f of wanted) if (!existsSync(modelFile(f))) throw new Error(`${modelFile(f)} is not there`)
  return wanted
}

const modelFile = (format: string): string => join(models, `${name}-${format}.gguf`)

/** Names, or beginnings of names: `deep` means both deep cases. Long contexts are taken with BF16 only unless named. */
function casesOf(format: string): readonly Case[] {
  const wanted = given.cases && words(given.cases)
  if (wanted) return cases.filter((c) => wanted.some((w) => c.name.startsWith(w)))
  return cases.filter((c) => c.mostRounds > 1 || format === 'BF16')
}

/** Both engines in turn, round after round. */
async function compare(ours: Ours, format: string, c: Case, first: readonly Setting[]): Promise<Result> {
  const begin = performance.now()
  const own: number[] = []
  const tried: Tried<Setting>[] = first.map((setting) => ({ setting, rates: [] }))
  let seconds = patienceFor(c)
  for (let round = 0; round < Math.min(rounds, c.mostRounds); round++) {
    own.push(await ours.run(c))
    const still = hopeful(tried)
    for (const [i, t] of tried.entries()) {
      if (!still.includes(t.setting)) continue
      const from = performance.now()
      tried[i] = { ...t, rates: [...t.rates, await runPeer(peer, modelFile(format), c, t.setting, seconds)] }
      // Whoever needs several times as long as another setting will not turn out the best.
      seconds = Math.min(seconds, (slower * (performance.now() - from)) / 1000 + 1)
      // The prompts are there by now: one more look at us costs little.
      if (c.mostRounds === 1) own.push(await ours.run(c))
    }
  }
  const winner = best(tried)
  const [rate, peerRate] = [median(own), winner?.rate ?? 0]
  const took = (performance.now() - begin) / 1000
  process.stderr.write(
    `${format}, ${c.name}: ${short(rate)} and ${short(peerRate)}, ${short(rate / peerRate)}x (${took.toFixed(0)} s)\n`,
  )
  return {
    format,
    dtype: ours.dtype,
    case: c.name,
    ours: own,
    peer: tried,
    rate,
    peerRate,
    peerSetting: winner ? settingName(winner.setting) : 'none',
    ratio: rate / peerRate,
    bestRatio: Math.max(...own) / Math.max(...tried.flatMap((t) => t.rates)),
    goal: c.goal(format),
    seconds: took,
  }
}

async function compareFormat(format: string): Promise<Result[]> {
  const results: Result[] = []
  const all = casesOf(format)
  // Engines for short and for long contexts: what is reserved is reserved for good.
  for (const group of [all.filter((c) => c.mostRounds > 1), all.filter((c) => c.mostRounds === 1)]) {
    if (group.length === 0) continue
    if (late()) {
      leftOut.push(...group.map((c) => `${format} ${c.name}`))
      continue
    }
    const ours = await openOurs(modelFile(format), group, engine)
    // Where one run takes a minute, settings that were hopeless for one stream are not tried with eight.
    let first = settings
    for (const c of group) {
      if (late()) {
        leftOut.push(`${format} ${c.name}`)
        continue
      }
      const run = () => compare(ours, format, c, first)
      const result = await (c.neighbour ? besideNeighbour(run) : run())
      results.push(result)
      if (c.mostRounds === 1) first = hopeful(result.peer)
    }
    await ours.close()
  }
  return results
}

const everyRate = (r: Result): string =>
  r.peer
    .map((p) => `${p.setting.threads}${p.setting.flashAttention ? '+fa' : ''}: ${short(median(p.rates))}`)
    .join(', ')

const begin = conditions()
const results: Result[] = []
for (const format of formatsHere()) results.push(...(await compareFormat(format)))
console.log(
  `${name}, tokens a second over all streams, medians of up to ${rounds} rounds; load ${short(begin.load)} at the beginning`,
)
printTable(
  [
    'format',
    'in memory',
    'case',
    'ours',
    'llama.cpp',
    'ratio',
    'of best rounds',
    'goal',
    'its best setting',
    'threads (fa): its rates',
  ],
  results.map((r) => [
    r.format,
    r.dtype,
    r.case,
    short(r.rate),
    short(r.peerRate),
    `${r.ratio.toFixed(2)}x`,
    `${r.bestRatio.toFixed(2)}x`,
    `${r.goal}x`,
    r.peerSetting,
    everyRate(r),
  ]),
)
for (const format of new Set(results.map((r) => r.format))) {
  for (const streams of [1, 8]) {
    const [quiet, busy] = ['', 'busy, '].map((p) =>
      results.find((r) => r.format === format && r.case === `${p}decode ${streams}`),
    )
    if (quiet && busy)
      console.log(
        `${format}, decode ${streams}: beside a busy neighbour we lose ${(quiet.rate / busy.rate).toFixed(2)}x (goal: 2.2x)`,
      )
  }
}
if (leftOut.length > 0) console.log(`left out after ${minutes} minutes (--minutes): ${leftOut.join('; ')}`)
console.log(JSON.stringify({ bench: 'versus', ...begin, loadAtEnd: conditions().load, name, rounds, leftOut, results }))
