#!/usr/bin/env node
import { Command } from 'commander'
import { dropMachineName, readAliases } from './environment.ts'
import { run } from './run.ts'
import { addServe } from './serve-command.ts'
import { version } from './version.ts'

/** `text-generation-launcher`: the flags and variables of TGI's, for `loquent serve`. */
const launcher = new Command('text-generation-launcher')
  .description('Serves a model over the TGI API: `loquent serve` under the name that scripts know.')
  .version(version, '-V, --version')

dropMachineName(process.env)
readAliases(process.env)
await run(addServe(launcher))
