import { readFileSync } from 'node:fs'
import { fail } from '../../base/errors.ts'
import { indexList } from '../../base/index-list.ts'

/**
 * Where memory is kept on a machine whose processors have memory of their own: `interleave`, page by page on all nodes, so
 * that every thread has the bandwidth of all; or one node, on whose processors the threads are kept too.
 */
export type Numa = 'interleave' | number

export interface NumaPlace {
  readonly nodes: readonly number[]
  /** Of the node, those that this process may use; absent where threads may run anywhere. */
  readonly processors?: readonly number[]
}

/** What a choice means on this machine. Throws `option.invalid` for a node that is not there, and where nothing tells of nodes. */
export function numaPlace(numa: Numa): NumaPlace {
  const nodes = allowed('Mems_allowed_list')
  if (numa === 'interleave') return { nodes }
  if (!nodes.includes(numa)) refuse(`node ${numa} is not one of ${nodes.join(', ')}`)
  const usable = new Set(allowed('Cpus_allowed_list'))
  const all = indexList(readFileSync(`/sys/devices/system/node/node${numa}/cpulist`, 'utf8').trim()) ?? []
  const processors = all.filter((cpu) => usable.has(cpu))
  if (processors.length === 0) refuse(`this process may use no processor of node ${numa}`)
  return { nodes: [numa], processors }
}

/** What the system lets this process use: nodes, or processors. */
function allowed(name: string): number[] {
  let status: string
  try {
    status = readFileSync('/proc/self/status', 'utf8')
  } catch (error) {
    return fail('option.invalid', { name: 'numa', reason: 'only Linux tells of nodes' }, error)
  }
  const list = new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
  return indexList(list ?? '') ?? refuse('this system tells of no nodes')
}

function refuse(reason: string): never {
  return fail('option.invalid', { name: 'numa', reason })
}
