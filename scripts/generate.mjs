// Writes native/gen/ops.h from src/ops and docs/options.md from src/cli; with --check, fails when a committed text differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const checking = process.argv.includes('--check')

/** The module of a source: as it is where Node reads TypeScript, compiled otherwise. */
async function moduleOf(path) {
  const source = new URL(process.features.typescript ? `src/${path}.ts` : `dist/${path}.js`, root)
  if (existsSync(source)) return import(source.href)
  console.error(`generate: ${fileURLToPath(source)} is missing; run tsc first, or use Node 22.18 or newer`)
  return process.exit(1)
}

function put(path, text) {
  const target = new URL(path, root)
  const current = existsSync(target) ? readFileSync(target, 'utf8') : ''
  if (current === text) return
  if (!checking) return writeFileSync(target, text)
  console.error(`generate: ${path} differs from what it is made of; run node scripts/generate.mjs`)
  process.exitCode = 1
}

const { generateHeader } = await moduleOf('ops/header')
put('native/gen/ops.h', generateHeader())
const { optionsPage } = await moduleOf('cli/options-page')
put('docs/options.md', optionsPage())
