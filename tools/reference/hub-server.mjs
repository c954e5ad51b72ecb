// A hub with one model, for hub_check.py: prints its address, then a line for each request; ends with its input.
import { startHub } from '../../dist/hub/testing/server.js'

const large = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i + (i >> 7)) & 255))
const files = {
  'README.md': '# a model',
  'config.json': '{"model_type": "x"}',
  'tokenizer.json': '{}',
  'model.safetensors': large,
  'additional_chat_templates/tool.jinja': '{{ tools }}',
}
const hub = await startHub({ 'org/name': { files, large: ['model.safetensors'], token: 'secret' } })
console.log(hub.url)
let told = 0
setInterval(() => {
  for (; told < hub.asked.length; told++)
    console.log(`${hub.asked[told].method} ${hub.asked[told].host} ${hub.asked[told].path}`)
}, 20)
process.stdin.on('end', () => process.exit(0)).resume()
