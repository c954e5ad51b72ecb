import { type Logger, levels, pino } from 'pino'
import type { ServeSettings } from './options.ts'

/** Where log lines go; one call a line. */
export interface LogSink {
  write(line: string): void
}

/** The server's log: JSON lines as pino writes them, or one line of text each. */
export function createLogger(
  settings: Pick<ServeSettings, 'logLevel' | 'jsonOutput'>,
  sink: LogSink = process.stdout,
): Logger {
  const lines = settings.jsonOutput ? sink : { write: (line: string) => sink.write(textLine(line)) }
  return pino({ level: settings.logLevel, base: null }, lines)
}

/** `2026-11-21T20:00:00.000Z  INFO message key=value ...` */
function textLine(line: string): string {
  const { level, time, msg = '', ...facts } = JSON.parse(line) as Record<string, unknown>
  const label = (levels.labels[Number(level)] ?? 'info').toUpperCase().padStart(5)
  const rest = Object.entries(facts).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
  return `${new Date(Number(time)).toISOString()} ${label} ${msg}${rest.join('')}\n`
}
