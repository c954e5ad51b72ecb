#!/usr/bin/env node
import { Command } from 'commander'
import { dropMachineName } from './environment.ts'
import {
  addOptions,
  benchOptions,
  downloadOptions,
  generateOptions,
  hubOptions,
  modelOptions,
  planOptions,
} from './options.ts'
import { run } from './run.ts'
import { addServe } from './serve-command.ts'
import { version } from './version.ts'

/** Commands import their own modules when they run, so that `--help` costs nothing. */
function program(): Command {
  const main = new Command('loquent')
    .description('Text generation for Node.js: the TGI API as a server, or inside your own process.')
    .version(version, '-V, --version')
  addServe(main.command('serve').description('serve a model over HTTP'))
  const generate = main.command('generate').description('answer one prompt on the terminal').argument('<prompt>')
  addOptions(addOptions(addOptions(generate, modelOptions), hubOptions), generateOptions)
  generate.action(async (prompt, flags) => (await import('./generate.ts')).generate(prompt, flags))
  const bench = main.command('bench').description('measure the engine: prefill, decode, latencies')
  addOptions(addOptions(bench, modelOptions), benchOptions)
  bench.action(async (flags) => (await import('./bench.ts')).bench(flags))
  const plan = main.command('plan').description('say how much memory a model takes, and what fits; loads nothing')
  addOptions(addOptions(addOptions(plan, modelOptions), hubOptions), planOptions)
  plan.action(async (flags) => (await import('./plan.ts')).plan(flags))
  const download = main.command('download').description('bring a model of the hub to this disk').argument('<model>')
  addOptions(addOptions(download, hubOptions), downloadOptions)
  download.action(async (model, flags) => (await import('./download.ts')).download(model, flags))
  return main
}

dropMachineName(process.env)
await run(program())
