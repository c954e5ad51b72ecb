// Runs every test of dist/ and of the scripts in bench/ (or those whose path contains an argument) and closes with `N passed, N failed`.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { filesUnder } from './files.mjs'

const [dist, bench] = ['../dist', '../bench'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
const wanted = process.argv.slice(2)
const all = [...filesUnder(dist, '.test.js'), ...filesUnder(bench, '.test.mjs')]
const files = all.filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)))
if (files.length === 0) {
  console.error('no test files')
  process.exit(1)
}

// Two files at a time: several of them compute with two threads, and more would only queue for the same cores.
const child = spawn(process.execPath, ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
let tail = ''
child.stdout.on('data', (chunk) => {
  process.stdout.write(chunk)
  tail = (tail + chunk).slice(-1_000_000)
})
child.on('close', (code) => {
  const count = (label) => Number([...tail.matchAll(new RegExp(`(?:ℹ|#) ${label} (\\d+)`, 'g'))].at(-1)?.[1] ?? 0)
  const failed = count('fail') + count('cancelled')
  console.log(`${count('pass')} passed, ${failed} failed${count('skipped') ? `, ${count('skipped')} skipped` : ''}`)
  process.exit(code === 0 && failed === 0 && count('pass') > 0 ? 0 : 1)
})
