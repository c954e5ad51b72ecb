// Runs other people's clients, unmodified, against our server with the embedded model. Installs them, in the versions that
// test/clients names, into build/clients; they are no dependencies of ours. `npm run test:clients [-- PART OF A FILE NAME]`
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = join(root, 'test', 'clients')
const target = join(root, 'build', 'clients')
const wanted = process.argv.slice(2)

/** Copies the tests beside the packages they import, which is how they find them; gives the files to run. */
function prepare(group) {
  const [from, to] = [join(sources, group), join(target, group)]
  mkdirSync(to, { recursive: true })
  install(group, join(from, 'package.json'), to)
  const tests = readdirSync(from).filter((name) => name.endsWith('.test.mjs'))
  for (const name of tests) copyFileSync(join(from, name), join(to, name))
  return tests
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .map((name) => join(to, name))
}

function install(group, manifest, to) {
  const stamp = join(to, 'installed.json')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(manifest, 'utf8')) return
  console.log(`installing the clients of ${group}`)
  copyFileSync(manifest, join(to, 'package.json'))
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--silent']
  // The peers of @langchain/community are dozens of services that have nothing to do with us.
  if (group === 'community') flags.push('--legacy-peer-deps')
  const { status } = spawnSync('npm', ['install', ...flags], { cwd: to, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
  copyFileSync(manifest, stamp)
}

/** Starts the server on a free port; resolves with its address. */
function serve() {
  const main = join(root, 'dist', 'cli', 'main.js')
  const server = spawn(process.execPath, [main, 'serve', '--port', '0', '--json-output', 'true'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let log = ''
    server.stdout.on('data', (chunk) => {
      log = (log + chunk).slice(-100_000)
      const url = log.match(/http:\/\/127\.0\.0\.1:\d+/)?.[0]
      if (url) resolve({ server, url })
    })
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${log}`)))
  })
}

const files = readdirSync(sources).flatMap(prepare)
if (files.length === 0) throw new Error('no test file of that name')
const { server, url } = await serve()
const child = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=60000', ...files], {
  stdio: 'inherit',
  env: { ...process.env, LOQUENT_URL: url },
})
child.on('close', (code) => {
  // Its log has nowhere to go once we are gone.
  server.removeAllListeners('exit').on('exit', () => process.exit(code ?? 1))
  server.kill('SIGTERM')
})
