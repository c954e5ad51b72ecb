// Builds what is needed: TypeScript into dist/, the native addon into build/. Incremental; safe to run before everything.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative } from './build-native.mjs'
import { filesUnder } from './files.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const quiet = process.argv.includes('--quiet')

/** Whether it compiled. */
function compileTypeScript() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  if (!existsSync(tsc)) {
    console.error('loquent: the TypeScript compiler is not installed; run `npm ci` first')
    process.exit(1)
  }
  if (!existsSync(join(root, 'dist'))) rmSync(join(root, 'build', 'tsconfig.tsbuildinfo'), { force: true })
  const { status } = spawnSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit' })
  if (status === 0) removeStale()
  return status === 0
}

/** Output of a source that was deleted or renamed would still be imported and tested. */
function removeStale() {
  const dist = join(root, 'dist')
  for (const file of filesUnder(dist, '.js')) {
    const source = join(root, 'src', file.slice(dist.length + 1).replace(/\.js$/, '.ts'))
    if (existsSync(source)) continue
    for (const suffix of ['.js', '.js.map', '.d.ts']) rmSync(file.replace(/\.js$/, suffix), { force: true })
  }
}

if (!quiet) console.log('loquent: compiling TypeScript')
const compiled = compileTypeScript()
// Also beside sources that do not compile: who works on kernels need not wait for them.
await buildNative({ quiet })
if (!compiled) process.exitCode = 1
