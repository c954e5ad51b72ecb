import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Life, LifeEvents } from './life.ts'
import type { FromEngine, ToChild } from './message.ts'
import type { EngineOptions } from './spec.ts'

/** Longest line of the process's own output that is passed on; what is beyond is dropped. */
const maxLine = 2000

/** A life that is a process; without a pid it never was one. */
export interface ProcessLife extends Life {
  readonly pid: number | undefined
}

/**
 * Starts the module `entry` as an engine process. It gets its options by message, no environment, no flags of ours, no
 * terminal, and where there are process groups one of its own, so that Ctrl-C reaches only who can act on it.
 */
export function startProcess(entry: URL, options: EngineOptions, on: LifeEvents): ProcessLife {
  const child = fork(fileURLToPath(entry), [], {
    env: {},
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: process.platform !== 'win32',
  })
  listen(child, on)
  const send = (message: ToChild): void => {
    if (child.connected) child.send(message, () => {})
  }
  send({ kind: 'load', options })
  return { pid: child.pid, send, hold: (busy) => hold(child, busy), kill: () => void child.kill('SIGKILL') }
}

function listen(child: ChildProcess, on: LifeEvents): void {
  let failure: string | undefined
  child.on('message', (message: FromEngine) => on.message(message))
  for (const output of [child.stdout, child.stderr]) if (output) eachLine(output as Socket, on.line)
  // Whoever cannot be spoken to is of no use; without a pid it never was.
  child.on('disconnect', () => child.kill('SIGKILL'))
  child.on('error', (error) => {
    failure = error.message
    if (child.pid === undefined) on.ended(failure)
  })
  // Unlike `exit`, after the last message and the last line.
  child.on('close', (code, signal) => {
    if (child.pid !== undefined) on.ended(failure ?? (signal ? `killed by ${signal}` : `exit code ${code}`))
  })
}

function hold(child: ChildProcess, busy: boolean): void {
  const verb = busy ? 'ref' : 'unref'
  child[verb]()
  child.channel?.[verb]()
  for (const output of [child.stdout, child.stderr]) (output as Socket | null)?.[verb]()
}

function eachLine(output: Socket, tell: (line: string) => void): void {
  let rest = ''
  output.setEncoding('utf8')
  output.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!.slice(0, maxLine)
    for (const line of lines) if (line.trim() !== '') tell(line.slice(0, maxLine))
  })
}
