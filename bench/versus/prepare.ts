import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { readOptions } from '../options.ts'
import { modelShapes } from '../shapes.ts'
import { findPeer } from './peer.ts'
import { writeRandomGguf } from './random-gguf.ts'

/**
 * Builds llama.cpp for this machine from the bundle in the npm package node-llama-cpp, and makes the models of the
 * comparison in its formats. What is there already is left alone.
 */
const given = readOptions('node-llama-cpp', 'peer', 'smollm2', 'models', 'jobs', 'formats')
if (!given.peer || !given.models) {
  console.error('usage: prepare --peer <folder for llama.cpp> --models <folder for GGUF files>')
  console.error('  [--node-llama-cpp <folder of the installed package>] to build llama.cpp, if it is not there')
  console.error('  [--smollm2 <file.gguf of SmolLM2-135M-Instruct>] to make smol-*.gguf from')
  console.error('  [--formats Q8_0,Q4_0] [--jobs 1]')
  process.exit(2)
}
const peer = resolve(given.peer)
const models = resolve(given.models)
const formats = (given.formats ?? 'Q8_0,Q4_0').split(',')
const targets = ['llama-bench', 'llama-batched-bench', 'llama-quantize']

function run(program: string, ...argv: readonly string[]): void {
  console.log(`${program} ${argv.join(' ')}`)
  const { status, error } = spawnSync(program, argv, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (error) throw error
  if (status !== 0) throw new Error(`${program} ended with ${status}`)
}

function buildPeer(): void {
  const bundle = join(given['node-llama-cpp'] ?? 'node_modules/node-llama-cpp', 'llama', 'gitRelease.bundle')
  if (!existsSync(bundle)) throw new Error(`${bundle} is not there: npm install node-llama-cpp somewhere, and name it`)
  if (!existsSync(peer)) run('git', 'clone', '--quiet', resolve(bundle), peer)
  const build = join(peer, 'build')
  const off = ['CURL', 'OPENSSL', 'BUILD_TESTS', 'BUILD_EXAMPLES', 'BUILD_SERVER'].map((o) => `-DLLAMA_${o}=OFF`)
  run('cmake', '-S', peer, '-B', build, '-DCMAKE_BUILD_TYPE=Release', '-DGGML_NATIVE=ON', ...off)
  const jobs = given.jobs ?? `${availableParallelism()}`
  run('cmake', '--build', build, '-j', jobs, '--target', ...targets)
}

function quantize(from: string, name: string, format: string): void {
  const to = join(models, `${name}-${format}.gguf`)
  if (existsSync(to)) return
  // A file that was cut short must not be taken for a model the next time.
  run(join(findPeer(peer), 'llama-quantize'), '--allow-requantize', from, `${to}.part`, format)
  renameSync(`${to}.part`, to)
}

function randomModel(): void {
  const shape = modelShapes.find((m) => m.name === 'llama-1.1b')!
  const whole = join(models, `${shape.name}-BF16.gguf`)
  if (!existsSync(whole)) {
    console.log(`writing ${whole}`)
    writeRandomGguf(`${whole}.part`, shape)
    renameSync(`${whole}.part`, whole)
  }
  for (const format of formats) quantize(whole, shape.name, format)
}

mkdirSync(models, { recursive: true })
if (!existsSync(join(peer, 'build', 'bin', 'llama-bench')) && !existsSync(join(peer, 'llama-bench'))) buildPeer()
if (given.smollm2) for (const format of ['BF16', ...formats]) quantize(given.smollm2, 'smol', format)
randomModel()
