// Holds the HTTP conformance tables against a running server: node scripts/conformance.mjs http://127.0.0.1:3000
// Rows on which Loquent deviates from TGI on purpose are left out, for the server may be TGI. Without an address a server of
// our own is started over the embedded model and all rows count.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [url] = process.argv.slice(2)
const suite = fileURLToPath(new URL('../dist/serve/conformance/conformance.test.js', import.meta.url))
const env = { ...process.env, ...(url && { LOQUENT_CONFORMANCE_URL: url }) }
const { status } = spawnSync(process.execPath, ['--test', suite], { stdio: 'inherit', env })
process.exit(status ?? 1)
