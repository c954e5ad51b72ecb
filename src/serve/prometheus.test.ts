import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { load } from '../library/load.ts'
import { listen } from './server.ts'

const installed = spawnSync('prometheus', ['--version']).status === 0
const target = '{container="tgi"}'
const decode = '{container="tgi",method="decode"}'
const prefill = '{container="tgi",method="prefill"}'

const quantile = (series: string, labels = target) =>
  `histogram_quantile(0.5, sum by (le) (rate(${series}_bucket${labels}[1m])))`

/** What the panels of TGI's dashboard ask for, by the metrics and labels that they use. */
const panels = {
  'time to first token': `${quantile('tgi_request_queue_duration')} + ${quantile('tgi_batch_inference_duration', prefill)}`,
  'decode latency': quantile('tgi_batch_forward_duration', decode),
  throughput: `sum(rate(tgi_request_generated_tokens_sum${target}[1m]))`,
  'tokens of prompts': quantile('tgi_request_input_length'),
  'generated tokens': quantile('tgi_request_generated_tokens'),
  'requests that succeeded': `sum(increase(tgi_request_success${target}[1m]))`,
  'requests that failed': `sum by (err) (increase(tgi_request_failure${target}[1m]))`,
  'time per token': quantile('tgi_request_mean_time_per_token_duration'),
  replicas: `count(tgi_request_count${target})`,
  queue: `avg(tgi_queue_size${target})`,
  'tokens of the batch': `avg(tgi_batch_current_max_tokens${target})`,
  'size of the batch': `avg(tgi_batch_current_size${target})`,
  'batches joined': `sum by (reason) (increase(tgi_batch_concat${target}[1m]))`,
  'duration of requests': quantile('tgi_request_duration'),
  decode: quantile('tgi_batch_inference_duration', decode),
  'decode of tokens': quantile('tgi_batch_decode_duration', decode),
  filter: quantile('tgi_batch_filter_duration', decode),
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

/** A Prometheus that scrapes `port` four times a second. */
async function prometheus(folder: string, port: number): Promise<{ child: ChildProcess; url: string }> {
  const config = join(folder, 'prometheus.yml')
  const scrape = `{ job_name: tgi, static_configs: [{ targets: ['127.0.0.1:${port}'], labels: { container: tgi } }] }`
  writeFileSync(config, `global: { scrape_interval: 250ms }\nscrape_configs: [${scrape}]\n`)
  const address = `127.0.0.1:${await freePort()}`
  const argv = [`--config.file=${config}`, `--storage.tsdb.path=${folder}`, `--web.listen-address=${address}`]
  return { child: spawn('prometheus', argv, { stdio: 'ignore', timeout: 120_000 }), url: `http://${address}` }
}

/** The values of a query; none while there are none, or nobody answers yet. */
async function ask(url: string, query: string): Promise<readonly number[]> {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`).catch(() => undefined)
  if (!response?.ok) return []
  const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } }
  return data.result.map(({ value }) => Number(value[1]))
}

test("a real Prometheus scrapes it, and every panel of TGI's dashboard shows a number", {
  skip: !installed && 'prometheus is not installed',
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'loquent-prometheus-'))
  const llm = await load(undefined, { maxTotalTokens: 128 })
  const app = await listen(llm, { hostname: '127.0.0.1', port: 0, logLevel: 'silent' })
  const { port } = app.server.address() as { port: number }
  const { child, url } = await prometheus(folder, port)
  try {
    let left = Object.entries(panels)
    for (const deadline = performance.now() + 60_000; left.length > 0; await sleep(250)) {
      const missing = left.map(([name]) => name)
      assert.ok(performance.now() < deadline, `nothing shown for: ${missing.join(', ')}`)
      await Promise.all([generate(port, 16), generate(port, 16), generate(port, 0)])
      const answers = await Promise.all(left.map(([, query]) => ask(url, query)))
      left = left.filter((_, i) => !answers[i]!.some((value) => Number.isFinite(value)))
    }
  } finally {
    child.kill()
    await once(child, 'close')
    await app.close()
    await llm.close()
    rmSync(folder, { recursive: true, force: true })
  }
})

/** One generation; of no tokens, one that is refused. */
async function generate(port: number, max_new_tokens: number): Promise<void> {
  const body = JSON.stringify({ inputs: 'Once upon a time', parameters: { max_new_tokens } })
  const headers = { 'content-type': 'application/json' }
  await (await fetch(`http://127.0.0.1:${port}/generate`, { method: 'POST', headers, body })).text()
}
