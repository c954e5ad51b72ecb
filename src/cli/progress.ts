import type { LoadProgress } from '../library/index.ts'

const barWidth = 24
const words: Record<LoadProgress['stage'], string> = {
  open: 'opening',
  weights: 'loading weights',
  compile: 'compiling',
  ready: 'ready',
}

/** Shows a load on stderr: a bar that redraws itself on a terminal, one line a stage otherwise. */
export function showProgress(out: NodeJS.WriteStream): (progress: LoadProgress) => void {
  let stage = ''
  return (p) => {
    if (out.isTTY) {
      const filled = Math.round(p.fraction * barWidth)
      const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled)
      out.write(`\r\x1b[K${p.stage === 'ready' ? '' : `${bar} ${Math.round(p.fraction * 100)}% ${words[p.stage]}`}`)
    } else if (p.stage !== stage) {
      out.write(`loquent: ${words[p.stage]}\n`)
    }
    stage = p.stage
  }
}
