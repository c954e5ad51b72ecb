import { median } from '#dist/cli/statistics.js'

/** Rates of one setting, a round each; a run that was given up counts as 0. */
export interface Tried<S> {
  readonly setting: S
  readonly rates: readonly number[]
}

/** The setting with the best median; undefined when none ever worked. */
export function best<S>(tried: readonly Tried<S>[]): { readonly setting: S; readonly rate: number } | undefined {
  const ranked = tried
    .filter((t) => t.rates.length > 0)
    .map(({ setting, rates }) => ({ setting, rate: median(rates) }))
    .sort((a, b) => b.rate - a.rate)
  return ranked[0] && ranked[0].rate > 0 ? ranked[0] : undefined
}

/** Share of the best setting's rate below which a setting is not tried again. */
const hopeless = 0.5

/** Settings that may still turn out best: far behind after a round means far behind. */
export function hopeful<S>(tried: readonly Tried<S>[]): readonly S[] {
  const most = best(tried)?.rate ?? 0
  return tried.filter(({ rates }) => rates.length === 0 || median(rates) >= hopeless * most).map((t) => t.setting)
}
