import type { Backend, Plan } from '../backends/contract.ts'
import type { Frame } from '../ops/frame.ts'
import { fillFrame } from './fill.ts'
import type { Sampled, Step } from './step.ts'

/** Runs steps: fills the frame, and lets the backend run the program over it. One step at a time. */
export interface Runner {
  /** Resolves with the output fields of the frame, valid until the next `run`. */
  run(step: Step): Promise<Sampled>
  close(): void
}

export function createRunner(backend: Backend, plan: Plan, frame: Frame): Runner {
  return {
    async run(step) {
      fillFrame(frame, step)
      await backend.run(plan, frame)
      return frame
    },
    close: () => backend.close(),
  }
}
