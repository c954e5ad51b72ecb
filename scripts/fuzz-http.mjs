// Throws bodies made from the OpenAPI document, and bytes that are hardly HTTP, at a server of our own:
// node scripts/fuzz-http.mjs [seconds for each half, 60] [seed]
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [seconds = '60', seed] = process.argv.slice(2)
const fuzz = fileURLToPath(new URL('../dist/serve/conformance/fuzz.test.js', import.meta.url))
const env = { ...process.env, LOQUENT_FUZZ_SECONDS: seconds, ...(seed && { LOQUENT_FUZZ_SEED: seed }) }
const { status } = spawnSync(process.execPath, ['--expose-gc', '--test', fuzz], { stdio: 'inherit', env })
process.exit(status ?? 1)
