import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Arenas, Backend } from '../contract.ts'
import { openReferenceBackend } from '../reference/backend.ts'
import { sameBytes } from './same-bytes.ts'

/** A backend whose log-probability or logits shift by one unit in the last place when the step holds more than one row. */
function batchDependent(where: 'frame' | 'activations'): Backend {
  const real = openReferenceBackend()
  let arenas: Arenas
  return {
    ...real,
    compile(program, given) {
      arenas = given
      return real.compile(program, given)
    },
    async run(plan, frame) {
      const stats = await real.run(plan, frame)
      if (frame.counts[0]! === 1) return stats
      const { offset, column } = plan.program.instructions.find((i) => i.name === 'head')!.places['out']!
      const floats = where === 'frame' ? frame.chosenLogprobs : new Float32Array(arenas.activations.buffer, offset)
      new Uint32Array(floats.buffer, floats.byteOffset)[where === 'frame' ? 0 : column]! ^= 1
      return stats
    },
  }
}

test('one bit that depends on the batch is found, in logits and in log-probabilities', async () => {
  for (const where of ['frame', 'activations'] as const) {
    await assert.rejects(
      sameBytes(batchDependent(where), 1, 'f32'),
      /other bytes, alone, in chunks of 1: sequence 0, position 0/,
    )
  }
})
