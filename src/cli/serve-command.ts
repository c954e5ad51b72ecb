import type { Command } from 'commander'
import { inertOptions } from './inert-options.ts'
import { addOptions, hubOptions, modelOptions, serveOptions } from './options.ts'

/** Everything that serving takes. */
export const serveRows = [...modelOptions, ...hubOptions, ...serveOptions, ...inertOptions]

/** Makes a command one that serves. */
export function addServe(command: Command): Command {
  return addOptions(command, serveRows).action(async (flags) => (await import('./serve.ts')).serve(flags))
}
