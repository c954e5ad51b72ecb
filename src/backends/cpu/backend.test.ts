import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as nodeTest } from 'node:test'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { openBench } from '../conformance/bench.ts'
import { Random } from '../conformance/random.ts'
import { sameBytes } from '../conformance/same-bytes.ts'
import type { Backend } from '../contract.ts'
import { openCpuBackend } from './backend.ts'
import { blockSize } from './storage.ts'
import { findAddon } from './testing/find-addon.ts'

const { addon, skip } = findAddon()
const isas = addon?.info().isas ?? []
const test = (name: string, body: () => Promise<void> | void) => nodeTest(name, { skip }, body)

async function withBackend<T>(
  options: { threads?: number; isa?: string },
  use: (b: Backend) => Promise<T>,
): Promise<T> {
  const backend = openCpuBackend(options)
  try {
    return await use(backend)
  } finally {
    backend.close()
  }
}

/** A chain of products over `rows` tokens: a few thousand rows are under way for a while. */
const chain = (backend: Backend, rows: number) =>
  openBench(backend, new Random(1), {
    limits: { tokens: rows, context: rows, blocks: rows / blockSize },
    reuse: true,
    build: ({ g, checkpoint }) => {
      checkpoint.add('table', 'f32', 256, 256)
      const table = g.weight('table', 256, 256)
      let x = g.op('embedding', 'x', { ids: g.frame('tokenIds', 'tokens'), weight: table }, {})['out']!
      for (let i = 0; i < 24; i++) x = g.op('linear', `y${i}`, { x, weight: table }, { activation: 'relu' })['out']!
    },
  })

test('the same bytes whatever the thread count', async () => {
  const [one, ...others] = await Promise.all(
    [1, 2, 4].map((threads) => withBackend({ threads }, (b) => sameBytes(b, 3, 'bf16'))),
  )
  for (const other of others) assert.deepEqual(other, one)
})

test('the same bytes on every instruction set that fuses products', async () => {
  const fused = isas.filter((isa) => isa !== 'generic')
  const results = await Promise.all(fused.map((isa) => withBackend({ isa }, (b) => sameBytes(b, 4, 'q8_0'))))
  for (const result of results.slice(1)) assert.deepEqual(result, results[0])
})

test('options that cannot be had are refused, defaults are filled in', () => {
  assert.throws(() => openCpuBackend({ isa: 'sse9' }), { code: 'option.invalid' })
  assert.throws(() => openCpuBackend({ threads: 0 }), { code: 'option.invalid' })
  assert.throws(() => openCpuBackend({ threads: 1.5 }), { code: 'option.invalid' })
  const backend = openCpuBackend()
  const { detail, threads } = backend.traits
  backend.close()
  assert.deepEqual([detail, threads], [isas.at(-1), Math.min(64, availableParallelism())])
})

test('closing joins the threads and gives the memory back', async () => {
  const threadsNow = () => (process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0)
  const before = threadsNow()
  for (let i = 0; i < 20; i++) {
    const backend = openCpuBackend({ threads: 4 })
    const { buffer } = backend.reserve('cache', 1 << 20)
    assert.equal(buffer.byteLength, 1 << 20)
    await (await chain(backend, 16)).run()
    backend.close()
    backend.close()
    assert.equal(buffer.byteLength, 0)
  }
  assert.equal(threadsNow(), before)
})

test('what runs when the backend is closed rejects, as does what comes after', async () => {
  const backend = openCpuBackend({ threads: 2 })
  const bench = await chain(backend, 4096)
  bench.frame.counts[0] = 4096
  const running = Array.from({ length: 8 }, () => bench.run())
  const last = assert.rejects(running.at(-1)!, { code: 'backend.failed', message: /closed/ })
  backend.close()
  await Promise.allSettled(running)
  await last
  await assert.rejects(bench.run(), { code: 'backend.failed', message: /closed/ })
})

test('a backend works in a worker thread and beside another', async () => {
  const here = openCpuBackend({ threads: 2 })
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.url).then(async ({ openCpuBackend }) => {
      const backend = openCpuBackend({ threads: 2 })
      const arena = backend.reserve('weights', 4096)
      const data = Float32Array.from({ length: 64 }, (_, i) => i)
      const weight = { kind: 'weight', rows: 1, columns: 64, tensors: [], data }
      await backend.upload({ weight, format: 'f32', layout: 'rows', offset: 64, bytes: 256 }, arena, [])
      parentPort.postMessage([...new Float32Array(arena.buffer, 64, 3)])
      backend.close()
    })`
  const url = import.meta.url.replace('backend.test.', 'backend.')
  const worker = new Worker(source, { eval: true, workerData: { url } })
  const message = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  assert.deepEqual(message, [0, 1, 2])
  await (await chain(here, 16)).run()
  here.close()
})

/** Script of a process that begins two steps of a tenth of a second and more, and then does `end`. */
const interrupted = (end: string) => `
  const { openCpuBackend } = await import(${JSON.stringify(import.meta.url.replace('backend.test.', 'backend.'))})
  const { openBench } = await import(${JSON.stringify(import.meta.url.replace('cpu/backend.test.', 'conformance/bench.'))})
  const { Random } = await import(${JSON.stringify(import.meta.url.replace('cpu/backend.test.', 'conformance/random.'))})
  const backend = openCpuBackend({ threads: 2 })
  const bench = await openBench(backend, new Random(1), {
    limits: { tokens: 4096, context: 4096, blocks: 256 },
    reuse: true,
    build: ({ g, checkpoint }) => {
      checkpoint.add('t', 'f32', 256, 256)
      const weight = g.weight('t', 256, 256)
      let x = g.op('embedding', 'x', { ids: g.frame('tokenIds', 'tokens'), weight }, {}).out
      for (let i = 0; i < 24; i++) x = g.op('linear', 'y' + i, { x, weight }, { activation: 'relu' }).out
    },
  })
  bench.frame.counts[0] = 4096
  const running = [bench.run(), bench.run()]
  await new Promise((resolve) => setTimeout(resolve, 20))
  ${end}`

test('a process may exit in the middle of a step', async () => {
  const flags = ['--input-type=module', '--no-warnings', '-e']
  await promisify(execFile)(process.execPath, [...flags, interrupted('process.exit(0)')])
})

test('a worker may be terminated in the middle of a step', async () => {
  const source = `(async () => {${interrupted(`require('node:worker_threads').parentPort.postMessage('running')`)}})()`
  const worker = new Worker(source, { eval: true })
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  assert.equal(await worker.terminate(), 1)
})

test('an idle backend does not keep a process alive', async () => {
  const script = interrupted('await Promise.all(running); console.log("done")')
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--no-warnings', '-e', script])
  assert.equal(stdout, 'done\n')
})

test('a file is mapped whole; an empty one and a missing one are no trouble', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'loquent-map-'))
  const backend = openCpuBackend({ threads: 1 })
  try {
    await writeFile(join(folder, 'a'), 'some bytes')
    await writeFile(join(folder, 'empty'), '')
    assert.equal(Buffer.from(backend.mapFile!(join(folder, 'a'))).toString(), 'some bytes')
    assert.equal(backend.mapFile!(join(folder, 'empty')).byteLength, 0)
    assert.throws(() => backend.mapFile!(join(folder, 'none')), { code: 'backend.failed', message: /cannot open/ })
    assert.throws(() => backend.mapFile!(folder), { code: 'backend.failed' })
  } finally {
    backend.close()
    await rm(folder, { recursive: true })
  }
})

test('an upload that does not fit its place or its parts is refused', async () => {
  await withBackend({ threads: 1 }, async (backend) => {
    const arena = backend.reserve('weights', 1024)
    const weight = { kind: 'weight', rows: 4, columns: 64, tensors: [], data: new Float32Array(256) } as const
    const placed = { weight, format: 'f32', layout: 'rows', offset: 0, bytes: 1024 } as const
    const refused = (over: object, message: RegExp) =>
      assert.rejects(backend.upload({ ...placed, ...over }, arena, []), { code: 'backend.failed', message })
    await backend.upload(placed, arena, [])
    await refused({ offset: 64 }, /does not fit its place/)
    await refused({ offset: 4096 }, /outside the arena/)
    await refused({ layout: 'panels' }, /does not fit its place/)
    await refused({ format: 'q4_k' }, /whole blocks/)
    await refused({ weight: { ...weight, data: new Float32Array(128) } }, /wrong size|are 2 rows/)
  })
})

test('rows that share a panel have one table', async () => {
  await withBackend({ threads: 1 }, async (backend) => {
    const weight = { kind: 'weight', rows: 33, columns: 64, tensors: ['t'] } as const
    const placed = { weight, offset: 0, ...backend.traits.storage(weight, 'linear', ['lut4']) }
    const arena = backend.reserve('weights', placed.bytes)
    const upload = (changed: number) => {
      const bytes = new Uint8Array(33 * 100)
      bytes[changed * 100] = 1
      const stored = {
        name: 't',
        format: 'lut4',
        shape: [33, 64],
        file: 'memory',
        offset: 0,
        bytes: () => bytes,
      } as const
      return backend.upload(placed, arena, [stored])
    }
    await upload(32)
    await assert.rejects(upload(31), { code: 'backend.failed', message: /different tables/ })
  })
})

/** The processors that each thread of this process may use, as lists. */
const places = () =>
  readdirSync('/proc/self/task').map(
    (task) => /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync(`/proc/self/task/${task}/status`, 'utf8'))![1]!,
  )

test('threads are kept on the processors named, which must be there', async () => {
  assert.throws(() => openCpuBackend({ affinity: [1023] }), { code: 'option.invalid', message: /processor 1023/ })
  if (process.platform !== 'linux') return
  const usable = Number.parseInt(places()[0]!, 10)
  const backend = openCpuBackend({ affinity: [usable] })
  try {
    assert.equal(backend.traits.threads, 1)
    await (await chain(backend, 16)).run()
    // On a machine of one processor all threads are.
    assert.ok(places().includes(String(usable)))
  } finally {
    backend.close()
  }
})

test('as many threads as processors have one each, others are free to move', async () => {
  if (process.platform !== 'linux') return
  const ranges = places()[0]!
    .split(',')
    .map((range) => range.split('-').map(Number))
  const processors = ranges.reduce((sum, [from, to]) => sum + (to ?? from!) - from! + 1, 0)
  for (const threads of [processors, processors + 1]) {
    const backend = openCpuBackend({ threads })
    try {
      await (await chain(backend, 16)).run()
      const alone = new Set(places().filter((list) => /^\d+$/.test(list)))
      assert.equal(alone.size, threads === processors || processors === 1 ? processors : 0)
    } finally {
      backend.close()
    }
  }
})

test('an upload lets go of the pages it has read', async () => {
  const [rows, columns] = [6144, 1024]
  const folder = await mkdtemp(join(tmpdir(), 'loquent-drop-'))
  const path = join(folder, 'weights')
  const values = Float32Array.from({ length: rows * columns }, (_, i) => i % 8191)
  await writeFile(path, values)
  const backend = openCpuBackend({ threads: 2 })
  try {
    const bytes = new Uint8Array(backend.mapFile!(path))
    const arena = backend.reserve('weights', values.byteLength)
    const weight = { kind: 'weight', rows, columns, tensors: ['t'] } as const
    const placed = { weight, format: 'f32', layout: 'rows', offset: 0, bytes: values.byteLength } as const
    const shape = [rows, columns]
    const stored = { name: 't', format: 'f32', shape, file: path, offset: 0, bytes: () => bytes } as const
    await backend.upload(placed, arena, [stored])
    assert.deepEqual(new Float32Array(arena.buffer), values)
    if (process.platform === 'linux') {
      const mapping = readFileSync('/proc/self/smaps', 'utf8').split(path)[1]!
      assert.ok(Number(/Rss:\s+(\d+) kB/.exec(mapping)![1]) < 1024, 'the pages are still here')
    }
    assert.deepEqual(new Float32Array(bytes.buffer), values)
  } finally {
    backend.close()
    await rm(folder, { recursive: true })
  }
})
