/** The value below which a share `q` of `values` lies; NaN of none. */
export function quantile(values, q) {
  if (values.length === 0) return Number.NaN
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

export const median = (values) => quantile(values, 0.5)

/** Milliseconds between the tokens of one stream. */
export const gapsOf = ({ tokens }) => tokens.slice(1).map((time, i) => time - tokens[i])

/** Milliseconds from asking to the first token. */
export const firstTokenOf = ({ start, tokens }) => tokens[0] - start

/** What a load was answered with. Rates count the tokens that arrived between `from` and `to` (milliseconds). */
export function summarize(results, from, to) {
  const by = (outcome) => results.filter((r) => r.outcome === outcome)
  const streams = results.filter((r) => r.tokens.length > 0)
  const gaps = streams.flatMap(gapsOf)
  const firsts = streams.map(firstTokenOf)
  const seconds = (to - from) / 1000
  const within = (times) => times.filter((time) => time >= from && time <= to).length
  const completed = by('completed')
  return {
    requests: results.length,
    completed: completed.length,
    refused: by('refused').length,
    failed: by('failed').length,
    left: by('left').length,
    cut: by('cut').length,
    tokensPerSecond: completed.reduce((sum, r) => sum + within(r.tokens), 0) / seconds,
    /** Also those of requests that never came to their end. */
    allTokensPerSecond: streams.reduce((sum, r) => sum + within(r.tokens), 0) / seconds,
    firstTokenMs: { median: median(firsts), p99: quantile(firsts, 0.99) },
    gapMs: { median: median(gaps), p99: quantile(gaps, 0.99), longest: gaps.reduce((a, b) => Math.max(a, b), 0) },
  }
}
