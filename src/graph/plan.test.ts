import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Limits } from '../ops/domain.ts'
import { opShape } from '../ops/table.ts'
import { rowBytes } from '../tensor/format.ts'
import { encodeInputs } from './encode-inputs.ts'
import { fuseGatedLinears } from './fuse-gated-linears.ts'
import { fuseResidualNorms } from './fuse-residual-norms.ts'
import { fuseRopes } from './fuse-ropes.ts'
import { Graph } from './graph.ts'
import { mergeLinears } from './merge-linears.ts'
import type { GraphData, Value } from './node.ts'
import { placeActivations } from './place-activations.ts'
import { planProgram } from './plan.ts'
import type { Instruction, Place, StoragePolicy } from './program.ts'
import { rootOf } from './rewrite.ts'

const limits: Limits = {
  tokens: 8,
  sequences: 4,
  samples: 3,
  context: 64,
  blocks: 16,
  blockSize: 16,
  vocabulary: 50,
  topTokens: 4,
  masks: 1,
}

const policy: StoragePolicy = {
  blockSize: 16,
  cacheBlockBytes: (c) => 2 * 4 * 16 * c.kvHeads * c.headDim,
  storage: (w, _use, stored, wanted) => {
    const format = wanted ?? stored[0] ?? 'f32'
    return { format, layout: 'rows', bytes: w.rows * rowBytes(format, w.columns) }
  },
}

/** A checkpoint that has whatever shape is asked for. */
const anyShape = (shapes: Record<string, readonly number[]>) => (name: string) => shapes[name]

function smallModel(): GraphData {
  const g = new Graph(
    anyShape({
      'e.weight': [50, 12],
      'n.weight': [12],
      'q.weight': [12, 12],
      'k.weight': [8, 12],
      'o.weight': [12, 12],
    }),
  )
  const embed = g.weight('e.weight', 50, 12)
  const norm = g.weight('n.weight', 1, 12)
  const x = g.op('embedding', 'x', { ids: g.frame('tokenIds', 'tokens'), weight: embed }, {})['out']!
  const h = g.op('rmsNorm', 'h', { x, weight: norm }, { epsilon: 1e-5, offset: 0 })['out']!
  const q = g.op('linear', 'q', { x: h, weight: g.weight('q.weight', 12, 12) }, { activation: 'none' })['out']!
  const k = g.op('linear', 'k', { x: h, weight: g.weight('k.weight', 8, 12) }, { activation: 'none' })['out']!
  g.op(
    'writeKv',
    'kv',
    { k, v: g.columns(q, 0, 8) },
    { layer: g.cache({ kvHeads: 1, headDim: 8 }), kvHeads: 1, headDim: 8 },
  )
  const o = g.op('linear', 'o', { x: q, weight: g.weight('o.weight', 12, 12) }, { activation: 'none' })['out']!
  const sum = g.op('add', 'sum', { x, y: o }, {})['out']!
  const last = g.op('rmsNorm', 'last', { x: sum, weight: norm }, { epsilon: 1e-5, offset: 0 })['out']!
  const both = g.op('add', 'both', { x: sum, y: last }, {})['out']!
  const rows = g.op('selectRows', 'rows', { x: both }, {})['out']!
  const logits = g.op('linear', 'logits', { x: rows, weight: embed }, { activation: 'none' })['out']!
  g.op('choose', 'choose', { logits }, {})
  return g.finish()
}

const names = (nodes: readonly { op: string; name: string }[]) => nodes.map((n) => `${n.op} ${n.name}`)

test('linears of one input merge, and their readers see columns', () => {
  const merged = mergeLinears(smallModel(), () => true)
  assert.deepEqual(names(merged.nodes), [
    'embedding x',
    'rmsNorm h',
    'linear q+k',
    'writeKv kv',
    'linear o',
    'add sum',
    'rmsNorm last',
    'add both',
    'selectRows rows',
    'linear logits',
    'choose choose',
  ])
  const kv = merged.nodes[3]!
  assert.deepEqual((kv.inputs['k'] as Value).of?.start, 12)
  assert.deepEqual((kv.inputs['v'] as Value).of?.start, 0)
  assert.equal(mergeLinears(smallModel(), () => false).nodes.length, smallModel().nodes.length)
})

test('a residual and its norm become one op whose sum is still read', () => {
  const fused = fuseResidualNorms(smallModel())
  const node = fused.nodes.find((n) => n.op === 'addRmsNorm')!
  const both = fused.nodes.find((n) => n.name === 'both')!
  assert.equal((both.inputs['x'] as Value).id, node.outputs['sum']!.id)
  assert.equal((both.inputs['y'] as Value).id, node.outputs['out']!.id)
})

test('a tied weight is stored once, and arenas hold everything', () => {
  const program = planProgram(smallModel(), limits, policy, () => 'bf16')
  assert.deepEqual(
    program.weights.map((w) => w.weight.tensors.join('+')),
    ['e.weight', 'n.weight', 'q.weight+k.weight', 'o.weight'],
  )
  assert.equal(program.arenas.cache, 16 * 2 * 4 * 16 * 8)
  for (const i of program.instructions) {
    for (const p of Object.values(i.places)) {
      if (p?.space === 'activations') assert.ok(p.offset + rowsIn(p) * p.stride * 4 <= program.arenas.activations)
    }
  }
})

const rowsIn = (p: Place): number => (p.domain === 'samples' ? limits.samples : limits.tokens)

test('weights stored in different formats are not merged, unless all are converted', () => {
  const stored = (name: string) => (name === 'k.weight' ? 'f16' : 'bf16')
  const apart = planProgram(smallModel(), limits, policy, stored)
  assert.equal(apart.instructions.filter((i) => i.op === 'linear').length, 4)
  const together = planProgram(smallModel(), limits, policy, stored, { wanted: 'f32' })
  assert.equal(together.instructions.filter((i) => i.op === 'linear').length, 3)
})

test('the builder refuses what does not fit, with the name of the tensor', () => {
  const g = new Graph(anyShape({ 'a.weight': [4, 5] }))
  assert.throws(() => g.weight('a.weight', 5, 4), /a\.weight: shape \[4,5\] where the configuration wants \[5, 4\]/)
  assert.throws(() => g.scope('b').weight('c.weight', 1, 1), /b\.c\.weight: the checkpoint has no such tensor/)
  const x = g.op(
    'embedding',
    'x',
    { ids: g.frame('tokenIds', 'tokens'), weight: g.constant(2, new Float32Array(12)) },
    {},
  )
  assert.throws(
    () => g.op('linear', 'y', { x: x['out']!, weight: g.weight('a.weight', 4, 5) }, { activation: 'none' }),
    RangeError,
  )
})

/** Runs the program symbolically: every element remembers who wrote it; a read of somebody else's bytes is a bug. */
function checkNoClobber(instructions: readonly Instruction[], graph: GraphData): void {
  const owner = new Map<number, number>()
  const cells = (p: Place) => {
    const out: number[] = []
    for (let r = 0; r < 2; r++) for (let c = 0; c < p.width; c++) out.push(p.offset / 4 + r * p.stride + p.column + c)
    return out
  }
  instructions.forEach((instruction, index) => {
    const node = graph.nodes[index]!
    for (const [name, o] of Object.entries(node.inputs)) {
      if (o?.kind !== 'value') continue
      for (const cell of cells(instruction.places[name]!))
        assert.equal(owner.get(cell), rootOf(o).id, `${node.name} reads ${name}`)
    }
    for (const [name, { kind }] of Object.entries(opShape(node.op).operands)) {
      if (kind === 'output')
        for (const cell of cells(instruction.places[name]!)) owner.set(cell, node.outputs[name]!.id)
    }
  })
}

test('values that live at the same time never share memory (random graphs)', () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.nat(2), fc.nat(), fc.nat()), { minLength: 1, maxLength: 40 }),
    (steps) => {
      const g = new Graph(anyShape({}))
      const weight = g.constant(3, new Float32Array(3 * 7))
      const ids = g.frame('tokenIds', 'tokens')
      const values = [g.op('embedding', 'v', { ids, weight }, {})['out']!]
      for (const [kind, a, b] of steps) {
        const x = values[a % values.length]!
        const y = values[b % values.length]!
        if (kind === 0) values.push(g.op('add', 'add', { x, y }, {})['out']!)
        if (kind === 1)
          values.push(
            ...Object.values(
              g.op(
                'addRmsNorm',
                'arn',
                { x, y, weight: g.constant(1, new Float32Array(7)) },
                { epsilon: 1, offset: 0 },
              ),
            ),
          )
        if (kind === 2) values.push(g.op('embedding', 'fresh', { ids, weight }, {})['out']!)
      }
      const graph = g.finish()
      const placement = placeActivations(graph, limits)
      const instructions = graph.nodes.map((n) => ({
        op: n.op,
        name: n.name,
        attributes: n.attributes,
        places: Object.fromEntries(
          Object.entries({ ...n.inputs, ...n.outputs }).flatMap(([k, o]) =>
            o?.kind === 'value' ? [[k, placement.place(o)]] : [],
          ),
        ),
      }))
      checkNoClobber(instructions, graph)
    },
  )
  fc.assert(property, { numRuns: 200 })
})

test('inputs are encoded once for all products that want it, and only for those', () => {
  const encoded = encodeInputs(smallModel(), (w) => (w.tensors[0] === 'o.weight' ? undefined : 'bf16'))
  const linears = encoded.nodes.filter((n) => n.op === 'linear')
  const read = linears.map((n) => (n.inputs['x'] as Value).name)
  assert.deepEqual(read, ['h', 'h', 'q', 'rows.bf16'])
  const encodes = encoded.nodes.filter((n) => n.op === 'encode')
  assert.deepEqual(
    encodes.map((n) => [n.name, (n.inputs['x'] as Value).name]),
    [['rows.bf16', 'rows']],
  )
  // Only products read h, and all want it rounded; of `last` another op wants the numbers.
  const norms = encoded.nodes.filter((n) => n.op === 'rmsNorm')
  assert.deepEqual(
    norms.map((n) => [n.name, n.attributes['rounding']]),
    [
      ['h', 'bf16'],
      ['last', 'none'],
    ],
  )
})

test('a result that one product wants rounded and another does not is rounded by an op of its own', () => {
  const { nodes } = encodeInputs(smallModel(), (w) => (w.tensors[0] === 'q.weight' ? 'bf16' : undefined))
  assert.equal(nodes.find((n) => n.name === 'h')!.attributes['rounding'], 'none')
  const inputs = nodes.filter((n) => n.op === 'linear').map((n) => (n.inputs['x'] as Value).name)
  assert.deepEqual(inputs, ['h.bf16', 'h', 'q', 'rows'])
})

test('the place of an encoded value says what it is, and its rows are an odd number of lines', () => {
  const wants: StoragePolicy = {
    ...policy,
    storage: (w, ...rest) => ({ ...policy.storage(w, ...rest), input: 'bf16' }),
  }
  const { instructions } = planProgram(smallModel(), limits, wants, () => 'bf16')
  const encodes = instructions.filter((i) => i.op === 'encode')
  assert.ok(encodes.length > 0)
  for (const { places } of encodes) {
    assert.equal(places['x']!.format, 'f32')
    assert.deepEqual([places['out']!.format, places['out']!.stride], ['bf16', 16])
  }
  for (const { places } of instructions.filter((i) => i.op === 'linear')) assert.equal(places['x']!.format, 'bf16')
})

/** Keys and queries turned; `also` reads the turned queries besides. */
function rotatedModel(also: boolean): GraphData {
  const g = new Graph(anyShape({ e: [50, 8] }))
  const ids = g.frame('tokenIds', 'tokens')
  const x = g.op('embedding', 'x', { ids, weight: g.weight('e', 50, 8) }, {})['out']!
  const shape = { layer: g.cache({ kvHeads: 1, headDim: 8 }), kvHeads: 1, headDim: 8 }
  const style = 'interleaved'
  const rope = (name: string) => g.op('rope', name, { x, table: x }, { heads: 1, headDim: 8, style })['out']!
  const [q, k] = [rope('q'), rope('k')]
  g.op('writeKv', 'kv', { k, v: x }, shape)
  g.op('attention', 'mixed', { q }, { ...shape, heads: 1, scale: 1, window: 0, softcap: 0 })
  if (also) g.op('selectRows', 'rows', { x: g.columns(q, 0, 4) }, {})
  return g.finish()
}

test('a rope becomes a part of the only op that reads it', () => {
  const { nodes } = fuseRopes(rotatedModel(false))
  assert.deepEqual(names(nodes), ['embedding x', 'writeKv kv', 'attention mixed'])
  for (const n of nodes.slice(1)) assert.equal(n.attributes['style'], 'interleaved')
  assert.equal((nodes[2]!.inputs['q'] as Value).name, 'x')
  assert.equal((nodes[1]!.inputs['table'] as Value).name, 'x')
  const { nodes: kept } = fuseRopes(rotatedModel(true))
  assert.deepEqual(names(kept), ['embedding x', 'rope q', 'writeKv kv', 'attention mixed', 'selectRows rows'])
  assert.equal(kept[3]!.inputs['table'], undefined)
})

/** Gate and up of one value; `also` reads something of them besides. */
function gatedModel(also: 'nothing' | 'gate' | 'bias'): GraphData {
  const g = new Graph(anyShape({ e: [50, 12], gate: [20, 12], up: [20, 12], bias: [20] }))
  const ids = g.frame('tokenIds', 'tokens')
  const x = g.op('embedding', 'x', { ids, weight: g.weight('e', 50, 12) }, {})['out']!
  const product = (name: string) => {
    const bias = also === 'bias' ? g.weight('bias', 1, 20) : undefined
    return g.op('linear', name, { x, weight: g.weight(name, 20, 12), bias }, { activation: 'none' })['out']!
  }
  const [gate, up] = [product('gate'), product('up')]
  g.op('gatedActivation', 'gated', { gate, up }, { activation: 'silu' })
  if (also === 'gate') g.op('selectRows', 'rows', { x: gate }, {})
  return mergeLinears(g.finish(), () => true)
}

test('gate and up become one op, unless their halves are wanted or biased', () => {
  const ops = (also: 'nothing' | 'gate' | 'bias') => names(fuseGatedLinears(gatedModel(also)).nodes)
  assert.deepEqual(ops('nothing'), ['embedding x', 'gatedLinear gate+up'])
  assert.deepEqual(ops('gate'), ['embedding x', 'linear gate+up', 'gatedActivation gated', 'selectRows rows'])
  assert.deepEqual(ops('bias'), ['embedding x', 'linear gate+up', 'gatedActivation gated'])
})
