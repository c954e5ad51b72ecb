import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test as nodeTest } from 'node:test'
import { LoquentError } from '../../base/errors.ts'
import { openCpuBackend } from './backend.ts'
import { type Numa, numaPlace } from './numa.ts'
import { findAddon } from './testing/find-addon.ts'

const { skip } = findAddon()
const noNodes = process.platform !== 'linux' && 'only Linux tells of nodes'
const test = (name: string, body: () => void) => nodeTest(name, { skip: skip || noNodes }, body)

/** Policies of this process's memory, as the system tells them; empty where it does not. */
function policies(): string {
  try {
    return readFileSync('/proc/self/numa_maps', 'utf8')
  } catch {
    return ''
  }
}

/** A container may forbid to place memory, which is then said; elsewhere the policy must be seen. */
function expectPlaced(numa: Numa, policy: RegExp): void {
  const backend = openCpuBackend({ threads: 1, numa })
  try {
    backend.reserve('weights', 1 << 20)
    if (policies()) assert.match(policies(), policy)
  } catch (error) {
    if (!(error instanceof LoquentError && error.message.includes('not permitted'))) throw error
  } finally {
    backend.close()
  }
}

test('memory is taken from all nodes, or from one', () => {
  const [first] = numaPlace('interleave').nodes
  assert.ok(first !== undefined)
  expectPlaced('interleave', / (interleave|prefer)[^ ]*:/)
  expectPlaced(first, new RegExp(` prefer[^ ]*:${first}\\b`))
})

test('a node comes with its processors', () => {
  const [node = 0] = numaPlace('interleave').nodes
  const { nodes, processors = [] } = numaPlace(node)
  assert.deepEqual(nodes, [node])
  assert.ok(processors.length > 0)
})

test('a node that is not there is refused', () => {
  assert.throws(() => openCpuBackend({ numa: 1023 }), /numa: node 1023 is not one of/)
})
