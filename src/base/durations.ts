const bounds = 35

/** Bounds of histograms of durations, in seconds: 0.0001 multiplied by 1.5 again and again. */
export const durationBounds: readonly number[] = (() => {
  const all: number[] = []
  for (let bound = 0.0001 * 1.5; all.length < bounds; bound *= 1.5) all.push(bound)
  return all
})()

/** Place of a duration among the bounds: the first that is not less, or one beyond the last. */
export function durationBucket(seconds: number): number {
  let at = 0
  while (at < bounds && durationBounds[at]! < seconds) at++
  return at
}
