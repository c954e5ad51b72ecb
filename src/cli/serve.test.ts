import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gone } from '../engine/testing/processes.ts'

const here = import.meta.url
const main = fileURLToPath(new URL(here.endsWith('.ts') ? './main.ts' : './main.js', here))
const posix = { skip: process.platform === 'win32' && 'no process groups' }

interface Served {
  readonly child: ChildProcess
  readonly url: string
  readonly enginePid: number
  /** All it has written so far. */
  readonly output: () => string
}

/** `loquent serve` on a free port, in a process group of its own as a shell would give it. */
async function serve(): Promise<Served> {
  const child = spawn(process.execPath, [main, 'serve', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    timeout: 60_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  for (;;) {
    const url = /serving on (\S+)/.exec(output)?.[1]
    const pid = /engine process (\d+) started/.exec(output)?.[1]
    if (url && pid) return { child, url, enginePid: Number(pid), output: () => output }
    assert.equal(child.exitCode, null, output)
    await sleep(10)
  }
}

const stream = (url: string) =>
  fetch(`${url}/generate_stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: 'Once upon a time', parameters: { max_new_tokens: 300, do_sample: true, seed: 1 } }),
  })

test(
  'Ctrl-C lets an open stream finish, even one whose engine dies meanwhile, and leaves no process',
  posix,
  async () => {
    const { child, url, enginePid, output } = await serve()
    const whole = await (await stream(url)).text()
    const response = await stream(url)
    // In this order: a server that has heard Ctrl-C may have ended its engine by itself.
    process.kill(enginePid, 'SIGKILL')
    process.kill(-child.pid!, 'SIGINT')
    assert.equal(await response.text(), whole)
    assert.match(whole, /"generated_text":"[^"]/)
    const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode]
    assert.equal(code, 0, output())
    const pids = [...output().matchAll(/engine process (\d+) started/g)].map((match) => Number(match[1]))
    await gone(pids)
  },
)
