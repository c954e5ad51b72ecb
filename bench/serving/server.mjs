import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const startMs = 120_000

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

/** Starts `loquent serve`. `args` are added to its own. */
export async function startLoquent({ model, threads, args = [] }) {
  const port = await freePort()
  const own = ['serve', '--model-id', model, '--port', String(port), '--log-level', 'warn']
  const argv = [cli, ...own, ...(threads ? ['--threads', String(threads)] : []), ...args]
  return running('loquent', 'tgi', process.execPath, argv, port)
}

/** Starts llama.cpp's server with `parallel` slots of `context` tokens each. */
export async function startLlama({ binary, model, threads, parallel, context, args = [] }) {
  const port = await freePort()
  const sizes = ['-np', String(parallel), '-c', String(parallel * context)]
  const argv = ['-m', model, '--host', '127.0.0.1', '--port', String(port), ...sizes, '--no-webui', '--log-disable']
  const own = [...argv, ...(threads ? ['-t', String(threads)] : []), ...args]
  return running('llama-server', 'llama', binary, own, port)
}

/** Waits until the process answers `/health`; stopping it waits until it is gone. */
async function running(name, dialect, command, argv, port) {
  const child = spawn(command, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-4000)
  })
  const ended = once(child, 'close')
  const origin = `http://127.0.0.1:${port}`
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const deadline = performance.now() + startMs
  while (!(await isWell(origin))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      kill()
      throw new Error(`${name} did not start:\n${said}`)
    }
    await sleep(100)
  }
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(kill, 20_000)
    await ended
    clearTimeout(timer)
    process.off('exit', kill)
  }
  return { name, dialect, origin, pid: child.pid, stop, residentMiB: () => residentMiB(child.pid), said: () => said }
}

async function isWell(origin) {
  try {
    return (await fetch(`${origin}/health`)).status === 200
  } catch {
    return false
  }
}

/** Memory of a process and its children, where the system tells; NaN elsewhere. */
function residentMiB(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const own = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    )
    return children.reduce((sum, child) => sum + residentMiB(child), own)
  } catch {
    return Number.NaN
  }
}

/** Sum of a metric of `/metrics` over the labels that contain `label`; 0 when there is none. */
export async function metric(server, name, label = '') {
  const text = await (await fetch(`${server.origin}/metrics`)).text()
  let sum = 0
  for (const line of text.split('\n')) {
    const [, found, labels = '', value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? []
    if (found === name && labels.includes(label)) sum += Number(value)
  }
  return sum
}

/** Buckets of a histogram of `/metrics`: upper bounds, and how many values lie below. */
export async function histogram(server, name) {
  const text = await (await fetch(`${server.origin}/metrics`)).text()
  const buckets = text.matchAll(new RegExp(`^${name}_bucket\\{.*le="([^"]+)".*\\} (\\S+)$`, 'gm'))
  return Array.from(buckets, ([, le, count]) => ({
    bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
    count: Number(count),
  }))
}

/** Upper bound of the bucket in which the share `q` of the values between two looks ends; NaN of none. */
export function quantileBetween(before, after, q) {
  const counts = after.map(({ bound, count }, i) => ({ bound, count: count - (before[i]?.count ?? 0) }))
  const total = counts.at(-1)?.count ?? 0
  return total === 0 ? Number.NaN : counts.find(({ count }) => count >= q * total).bound
}
