import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gone } from '../engine/testing/processes.ts'
import { Collector } from '../telemetry/testing/collector.ts'

const here = import.meta.url
const launcher = fileURLToPath(new URL(here.endsWith('.ts') ? './launcher.ts' : './launcher.js', here))
const posix = { skip: process.platform === 'win32' && 'no signals' }
const streams = 32

/** Ends at once, with what it said. */
function launch(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...argv], { encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

test('wrong usage ends with 2, a model that cannot be loaded with 1, --version with 0', () => {
  assert.equal(launch('--version').status, 0)
  assert.equal(launch('--port', 'many').status, 2)
  const both = launch('--max-input-tokens', '9', '--max-total-tokens', '9')
  assert.deepEqual([both.status, both.said], [2, 'loquent: `max_input_tokens`(9) must be < `max_total_tokens`(9)\n'])
  const missing = launch('--model-id', './no/such/folder', '--env')
  assert.equal(missing.status, 1)
  assert.match(missing.said, /^Runtime environment:\n[\s\S]*\nloquent: no model at /)
})

interface Launched {
  readonly child: ChildProcess
  readonly url: string
  /** Its log, an object a line. */
  readonly log: () => { readonly level: string; readonly message: string }[]
}

async function started(argv: readonly string[], env: Record<string, string>): Promise<Launched> {
  const child = spawn(process.execPath, [launcher, ...argv], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
    timeout: 60_000,
  })
  let output = ''
  child.stdout!.setEncoding('utf8').on('data', (text) => (output += text))
  const log = () =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  while (!log().some(({ message }) => message === 'Connected')) {
    assert.equal(child.exitCode, null, output)
    await sleep(10)
  }
  const url = log().flatMap(({ message }) => /^serving on (\S+)/.exec(message)?.[1] ?? [])[0]!
  return { child, url, log }
}

/** A stream that has begun. */
const stream = (url: string): Promise<Response> =>
  fetch(`${url}/generate_stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: 'Once upon a time', parameters: { max_new_tokens: 400, do_sample: true } }),
  })

test('SIGTERM during 32 streams: all finish or are told within the time, code 0, nothing stays', posix, async () => {
  const argv = ['--port', '0', '--json-output', '--num-shard', '2', '-g', '0', '--max-input-length', '100']
  const { child, url, log } = await started(argv, { HOSTNAME: 'pod-7', COMPUTE_TYPE: 'tested' })
  assert.match(url, /^http:\/\/127\.0\.0\.1:/)
  const info = await fetch(`${url}/info`)
  assert.equal(((await info.json()) as { max_input_tokens: number }).max_input_tokens, 100)
  const begun = await Promise.all(Array.from({ length: streams }, () => stream(url)))
  const texts = Promise.all(begun.map((response) => response.text()))
  while (!/^loquent_engine_tokens [1-9]/m.test(await (await fetch(`${url}/metrics`)).text())) await sleep(5)
  child.kill('SIGTERM')
  for (const text of await texts) assert.match(text, /"generated_text":"[\s\S]*\n\n$|data: \{"error":"[\s\S]*\n\n$/)
  const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode]
  assert.equal(code, 0)
  const messages = log().map(({ message }) => message)
  assert.ok(messages.some((msg) => msg.startsWith('--num-shard does not apply: ')))
  assert.ok(messages.includes('SIGTERM: finishing open requests'))
  assert.equal(log().find(({ message }) => message.startsWith('--num-shard'))!.level, 'WARN')
  await gone(messages.flatMap((msg) => Number(/engine process (\d+) started/.exec(msg)?.[1] ?? []) || []))
})

test(
  'spans that wait are sent before the process ends, and only who asks for traces pays for them',
  posix,
  async () => {
    const collector = new Collector('grpc')
    const endpoint = await collector.start()
    const argv = ['--port', '0', '--json-output', '--otlp-endpoint', endpoint, '--otlp-service-name', 'mine']
    const { child, url } = await started(argv, {})
    await (await stream(url)).text()
    child.kill('SIGTERM')
    const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode]
    collector.close()
    assert.equal(code, 0)
    const names = collector.spans.filter(({ service }) => service === 'mine').map(({ name }) => name)
    assert.deepEqual(names.sort(), ['generate_stream', 'infer', 'queued', 'validate'])

    const module = new URL(here.endsWith('.ts') ? './serve.ts' : './serve.js', here).href
    const loaded = `await import('${module}'); const { createRequire } = await import('node:module')
    console.log(Object.keys(createRequire('${module}').cache).filter((path) => path.includes('sdk-trace')).length)`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', loaded], { encoding: 'utf8' })
    assert.equal(stdout, '0\n', stderr)
  },
)
