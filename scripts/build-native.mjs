// Compiles native/ into build/loquent.node with a C++20 compiler and node-api-headers; no Node headers, no network.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const root = fileURLToPath(new URL('../', import.meta.url))
const native = join(root, 'native')
const objects = join(root, 'build', 'native')
const target = join(root, 'build', 'loquent.node')

const common = ['-std=c++20', '-O3', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra', '-pthread']
// Kernels say themselves where products are fused, and never throw.
const kernel = ['-ffp-contract=off', '-fwrapv', '-fno-exceptions', '-fno-rtti', '-fno-math-errno', '-fno-trapping-math']
const avx2 = ['-mavx2', '-mfma', '-mf16c']
const avx2Vnni = [...avx2, '-mavxvnni']
const avx512Vnni = [
  ...avx2,
  '-mavx512f',
  '-mavx512bw',
  '-mavx512vl',
  '-mavx512dq',
  '-mavx512vnni',
  '-mprefer-vector-width=512',
]
const avx512 = [...avx512Vnni, '-mavx512bf16']

/** Instruction sets the kernels are compiled for, slowest first; `kernels/sets.cpp` lists the same. */
const sets =
  process.arch === 'x64' ? { generic: [], avx2, avx2_vnni: avx2Vnni, avx512_vnni: avx512Vnni, avx512 } : { generic: [] }

const list = (folder, end) =>
  readdirSync(join(native, folder))
    .filter((f) => f.endsWith(end))
    .sort()
    .map((f) => join(folder, f))

function headersFolder() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include')
  } catch {
    return undefined
  }
}

/** Every object to make: source, flags and its file. */
function units(include) {
  const plain = [...list('core', '.cpp'), 'kernels/sets.cpp'].map((source) => ({ source, flags: [], tag: 'core' }))
  const node = list('napi', '.cpp').map((source) => ({ source, flags: ['-isystem', include], tag: 'napi' }))
  const kernels = list('kernels', '.cpp').filter((f) => f !== join('kernels', 'sets.cpp'))
  const perSet = Object.entries(sets).flatMap(([isa, flags]) =>
    kernels.map((source) => ({ source, flags: [...kernel, ...flags, `-DLOQUENT_ISA=${isa}`], tag: isa })),
  )
  return [...perSet, ...node, ...plain].map((u) => ({
    ...u,
    object: join(objects, `${u.tag}-${u.source.replaceAll(/[\\/]/g, '-')}.o`),
  }))
}

async function findCompiler() {
  const candidates = process.env['CXX'] ? [process.env['CXX']] : ['g++', 'c++', 'clang++']
  for (const compiler of candidates) {
    try {
      const { stdout } = await execute(compiler, ['--version'])
      return { compiler, version: stdout }
    } catch {}
  }
  return undefined
}

const digest = (...parts) => createHash('sha256').update(parts.join('\0')).digest('hex')
const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '')

/** Does the jobs with as many at a time as there are processors; the first failure ends it. */
async function inParallel(jobs) {
  const queue = [...jobs]
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await job()
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
}

/** Our own files that went into an object, by the rule its compiler wrote; none before the first time. */
const inputsOf = ({ object }) =>
  read(`${object}.d`)
    .replaceAll('\\\n', ' ')
    .split(/(?<!\\)\s+/)
    .slice(1)
    .filter((file) => file !== '')
    .map((file) => file.replaceAll('\\ ', ' '))

/** What an object was made from. A header that is gone reads as empty: also a change. */
const keyOf = (unit, base) => digest(base, ...common, ...unit.flags, ...inputsOf(unit).flatMap((f) => [f, read(f)]))

const isCurrent = (unit, base) => existsSync(unit.object) && read(`${unit.object}.key`) === keyOf(unit, base)

async function compileUnit(unit, { compiler, base }) {
  const { object } = unit
  const begin = Date.now()
  rmSync(`${object}.key`, { force: true })
  const rule = ['-MMD', '-MF', `${object}.d`]
  await execute(compiler, [...common, ...unit.flags, ...rule, '-c', join(native, unit.source), '-o', object])
  // What was edited meanwhile is newer than the object: without a key it is made again.
  const edited = inputsOf(unit).some((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs >= begin)
  if (!edited) writeFileSync(`${object}.key`, keyOf(unit, base))
}

async function link(compiler, all) {
  const fresh = `${target}.${process.pid}`
  const shared = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']
  await execute(compiler, [...shared, '-pthread', ...all.map((u) => u.object), '-o', fresh])
  // Renamed, not overwritten: a process that has the old one loaded keeps it.
  renameSync(fresh, target)
}

/**
 * Brings build/loquent.node up to date. Resolves to 'built', 'current', 'no-compiler' or 'failed'; says in one line why
 * there is no addon. An object is compiled again when its source, a header it includes, its flags or the compiler changed.
 */
export async function buildNative({ quiet = false } = {}) {
  const found = await findCompiler()
  const include = headersFolder()
  if (!found || !include) {
    const missing = found
      ? 'node-api-headers is not installed'
      : 'no C++ compiler was found (g++, c++, clang++ or $CXX)'
    console.error(`native: ${missing}; only the reference backend will be available`)
    return 'no-compiler'
  }
  mkdirSync(objects, { recursive: true })
  const base = digest(found.compiler, found.version)
  const all = units(include)
  const stale = all.filter((unit) => !isCurrent(unit, base))
  const linkKey = () => digest(...all.map(({ object }) => read(`${object}.key`)))
  if (stale.length === 0 && existsSync(target) && read(`${target}.key`) === linkKey()) return 'current'
  const begin = Date.now()
  try {
    await inParallel(stale.map((u) => () => compileUnit(u, { ...found, base })))
    await link(found.compiler, all)
  } catch (error) {
    console.error(`native: the build failed\n${error.stderr ?? error.message}`)
    return 'failed'
  }
  writeFileSync(`${target}.key`, linkKey())
  if (!quiet) console.log(`native: ${stale.length} objects in ${((Date.now() - begin) / 1000).toFixed(1)} s`)
  return 'built'
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const status = await buildNative({ quiet: process.argv.includes('--quiet') })
  if (status === 'failed' || status === 'no-compiler') process.exitCode = 1
}
