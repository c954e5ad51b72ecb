import type { Command } from 'commander'
import { LoquentError } from '../base/errors.ts'
import { UsageError } from './checks.ts'

/** Exit code of flags or variables that no restart can mend. */
const usageCode = 2

/** Runs a command line. Wrong usage ends with code 2, what fails later with 1. */
export async function run(program: Command): Promise<void> {
  exitWith(program)
  try {
    await program.parseAsync()
  } catch (error) {
    process.stderr.write(`loquent: ${wordsOf(error)}\n`)
    process.exitCode = error instanceof UsageError ? usageCode : 1
  }
}

function exitWith(command: Command): void {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : usageCode))
  for (const part of command.commands) exitWith(part)
}

function wordsOf(error: unknown): string {
  if (error instanceof LoquentError || error instanceof UsageError) return error.message
  const { syscall, message, stack } = error as NodeJS.ErrnoException
  return (syscall === 'listen' ? message : stack) ?? String(error)
}
