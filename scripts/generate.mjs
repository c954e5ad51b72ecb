// Writes native/gen/ops.h from src/ops; with --check, fails when the committed text differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const target = new URL('native/gen/ops.h', root)
const source = new URL(process.features.typescript ? 'src/ops/header.ts' : 'dist/ops/header.js', root)

if (!existsSync(source)) {
  console.error(`generate: ${fileURLToPath(source)} is missing; run tsc first, or use Node 22.18 or newer`)
  process.exit(1)
}
const { generateHeader } = await import(source.href)
const text = generateHeader()
const current = existsSync(target) ? readFileSync(target, 'utf8') : ''
if (process.argv.includes('--check')) {
  if (current !== text) {
    console.error('generate: native/gen/ops.h differs from the op table; run node scripts/generate.mjs')
    process.exit(1)
  }
} else if (current !== text) {
  writeFileSync(target, text)
}
