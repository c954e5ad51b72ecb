// What CI checks besides tests: floors, format and lint, generated texts. Types are checked by the build.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brokenFloors } from './floors.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
let failed = false

function check(name, ok, detail = '') {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}${ok ? '' : `\n${detail}`}`)
  failed ||= !ok
}

function run(name, ...argv) {
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: root, encoding: 'utf8' })
  check(name, status === 0, `${stdout}${stderr}`)
}

const broken = brokenFloors(root)
check('floors', broken.length === 0, broken.join('\n'))
run(
  'format and lint',
  join('node_modules', '@biomejs', 'biome', 'bin', 'biome'),
  'ci',
  '--colors=off',
  '--error-on-warnings',
  '.',
)
run('generated texts', join('scripts', 'generate.mjs'), '--check')
process.exit(failed ? 1 : 0)
