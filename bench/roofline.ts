import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readOptions } from './options.ts'
import { printTable, short } from './table.ts'

/** GB/s or G(FL)OP/s. `best` is the limit of the machine, `median` what was to be had while it was measured. */
interface Rate {
  readonly best: number
  readonly median: number
}

/** What a number of threads reaches; 0 where the processor has no such instruction. */
export interface Roof {
  readonly threads: number
  /** GB/s of streaming reads from memory. */
  readonly read: Rate
  /** GFLOP/s of fused multiply-adds, of BF16 dot products into float32, and GOP/s of 8-bit ones into 32 bits. */
  readonly float32: Rate
  readonly bf16: Rate
  readonly int8: Rate
}

/** The repository's root: the folder that has package.json, from source and from build/bench alike. */
export function rootFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
  }
}

function build(source: string, target: string): void {
  if (existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs) return
  mkdirSync(dirname(target), { recursive: true })
  const flags = ['-std=c++20', '-O3', '-march=native', '-pthread', source, '-o', target]
  const { status } = spawnSync(process.env['CXX'] ?? 'g++', flags, { stdio: 'inherit' })
  if (status !== 0) throw new Error('the roofline needs a C++20 compiler (g++ or $CXX)')
}

/** Builds the measuring program if it is not there, and runs it with 1 to `threads` threads (a second each). */
export function measureRoof(threads: number): readonly Roof[] {
  const root = rootFolder()
  const program = join(root, 'build', 'bench', 'peaks')
  build(join(root, 'bench', 'native', 'peaks.cpp'), program)
  const { stdout, status } = spawnSync(program, [String(threads)], { encoding: 'utf8' })
  if (status !== 0) throw new Error('the roofline program failed')
  return JSON.parse(stdout)
}

/** The greater rates of two measurements with the same number of threads. */
export function better(a: Roof, b: Roof): Roof {
  const of = (x: Rate, y: Rate): Rate => (x.best >= y.best ? x : y)
  return {
    threads: a.threads,
    read: of(a.read, b.read),
    float32: of(a.float32, b.float32),
    bf16: of(a.bf16, b.bf16),
    int8: of(a.int8, b.int8),
  }
}

/** What somebody needs to know to read the numbers. */
export function conditions() {
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    load: loadavg()[0]!,
    node: process.version,
  }
}

function main(): void {
  const options = readOptions('threads')
  const roofs = measureRoof(Number(options.threads ?? availableParallelism()))
  const cell = ({ best, median }: Rate) => (best > 0 ? `${short(best)} (${short(median)})` : '-')
  const rows = roofs.map((r) => [r.threads, cell(r.read), cell(r.float32), cell(r.bf16), cell(r.int8)].map(String))
  console.log('best round (median round)')
  printTable(['threads', 'read GB/s', 'float32 GFLOP/s', 'bf16 GFLOP/s', 'int8 GOP/s'], rows)
  console.log(JSON.stringify({ bench: 'roofline', ...conditions(), roofs }))
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) main()
