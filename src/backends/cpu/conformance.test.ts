import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FormatName } from '../../tensor/format.ts'
import { conformance } from '../conformance/conformance.ts'
import { type SameBytesOptions, sameBytes } from '../conformance/same-bytes.ts'
import { openCpuBackend } from './backend.ts'
import { findAddon } from './testing/find-addon.ts'

const formats = ['f32', 'f16', 'bf16', 'q8_0'] as const
const threadCounts = [1, 2, 4]
const { addon, skip } = findAddon()

if (!addon) {
  describe('conformance of the cpu backend', { skip }, () => {
    test('every op on every instruction set', () => assert.fail('skipped with its suite'))
  })
} else {
  for (const isa of addon.info().isas) {
    // Three threads: more than some ops have pieces of work, and no divisor of their number.
    const open = () => openCpuBackend({ threads: 3, isa })
    conformance(`cpu, ${isa}`, open, { trials: 8, converts: true, formats })
    describe(`cpu, ${isa}: the same bytes on any number of threads`, () => {
      for (const format of ['f32', 'q8_0'] as const) test(format, () => sameOnThreads(isa, format))
      for (const kv of ['f32', 'bf16', 'int8'] as const) {
        test(`long contexts, keys and values in ${kv}`, () => sameOnThreads(isa, 'f32', { kv, lengths: [530, 260] }))
      }
    })
  }
}

async function sameOnThreads(isa: string, format: FormatName, options: SameBytesOptions = {}): Promise<void> {
  const outcomes: Awaited<ReturnType<typeof sameBytes>>[] = []
  for (const threads of threadCounts) {
    const backend = openCpuBackend({ threads, isa })
    try {
      outcomes.push(await sameBytes(backend, 3, format, options))
    } finally {
      backend.close()
    }
  }
  for (const [i, outcome] of outcomes.entries()) assert.deepEqual(outcome, outcomes[0], `${threadCounts[i]} threads`)
}
