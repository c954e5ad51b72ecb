// Builds the engine and bench/, then runs one bench: `node scripts/bench.mjs kernels --rows 1,8`.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [name, ...rest] = process.argv.slice(2)

function run(...argv) {
  const { status } = spawnSync(process.execPath, argv, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (!name) {
  console.error('usage: node scripts/bench.mjs <roofline | kernels | versus/versus> [options]')
  process.exit(2)
}
run(join('scripts', 'build.mjs'), '--quiet')
run(join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'bench')
run(join('build', 'bench', `${name}.js`), ...rest)
