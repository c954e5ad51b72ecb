import { type Logger, pino } from 'pino'
import type { ServeSettings } from './options.ts'

/** Where log lines go; one call a line. */
export interface LogSink {
  write(line: string): void
}

/** The server's log: JSON lines with the names that the reference gives to what all lines have, or one line of text each. */
export function createLogger(
  settings: Pick<ServeSettings, 'logLevel' | 'jsonOutput'>,
  sink: LogSink = process.stdout,
): Logger {
  const lines = settings.jsonOutput ? sink : { write: (line: string) => sink.write(textLine(line)) }
  const base = settings.jsonOutput ? { target: 'loquent' } : null
  return pino({ level: settings.logLevel, base, messageKey: 'message', timestamp, formatters: { level } }, lines)
}

const timestamp = (): string => `,"timestamp":"${new Date().toISOString()}"`
const level = (label: string) => ({ level: label.toUpperCase() })

/** `2026-11-21T20:00:00.000Z  INFO message key=value ...` */
function textLine(line: string): string {
  const { level: label, timestamp: time, message = '', ...facts } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(facts).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
  return `${time} ${String(label).padStart(5)} ${message}${rest.join('')}\n`
}
