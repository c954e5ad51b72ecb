import type { HubProgress } from '../library/index.ts'

const barWidth = 24
/** A terminal is redrawn no more often. */
const redrawMs = 100
/** Lines that a download writes where there is no terminal, at most. */
const lines = 10

/** Shows a download: a bar that redraws itself on a terminal, at most ten lines otherwise. */
export function showDownload(out: NodeJS.WriteStream): (progress: HubProgress) => void {
  const started = performance.now()
  let atStart: number | undefined
  let drawn = 0
  let told = -1
  return ({ received, bytes, filesDone, files }) => {
    atStart ??= received
    const seconds = (performance.now() - started) / 1000
    const rate = `${size((received - atStart) / Math.max(seconds, 0.001))}/s`
    const fraction = bytes === 0 ? 1 : received / bytes
    const state = `${size(received)} of ${size(bytes)}, ${filesDone} of ${files} files`
    const done = filesDone === files
    if (out.isTTY) {
      if (!done && performance.now() - drawn < redrawMs) return
      drawn = performance.now()
      const filled = Math.round(fraction * barWidth)
      const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled)
      out.write(done ? '\r\x1b[K' : `\r\x1b[K${bar} ${state}, ${rate}`)
      return
    }
    const step = done ? lines : Math.min(Math.floor(fraction * lines), lines - 1)
    if (step > told && received > atStart) {
      told = step
      out.write(`loquent: downloaded ${state}, ${rate}\n`)
    }
  }
}

function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3))
  return `${(bytes / 1000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`
}
