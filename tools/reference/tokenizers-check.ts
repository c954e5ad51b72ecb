// Compares this project's tokenizer with what tokenizers.py wrote about a whole vocabulary, and times the detokenizer.
//   node tokenizers-check.ts SCRATCH/smollm2-full.json
import { readFileSync } from 'node:fs'
import { convertGgufTokenizer } from '../../src/text/gguf-tokenizer.ts'
import { loadText } from '../../src/text/load.ts'

interface Reference {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly texts: readonly string[]
  readonly ids: readonly (readonly number[])[]
  readonly alone: readonly string[]
}

const reference = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Reference
const gguf = { get: (key: string) => reference.metadata[key] }

let start = performance.now()
convertGgufTokenizer(gguf)
console.log(`conversion ${(performance.now() - start).toFixed(0)} ms`)
start = performance.now()
const model = await loadText({ gguf })
console.log(`load ${(performance.now() - start).toFixed(0)} ms, ${model.tokenizer.vocabulary} tokens`)

let wrong = 0
const all: number[] = []
for (const [i, text] of reference.texts.entries()) {
  const { ids } = await model.tokenizer.encode(text)
  all.push(...ids)
  if (ids.join() !== reference.ids[i]!.join()) {
    wrong++
    console.log('ids differ', JSON.stringify(text), ids.join(), reference.ids[i]!.join())
  }
}
console.log(`encode: ${wrong} of ${reference.texts.length} texts differ`)

const alone = reference.alone.filter((text, id) => model.decode([id]) !== text).length
console.log(`decode: ${alone} of ${reference.alone.length} ids differ`)

const repeats = Math.ceil(2_000_000 / all.length)
let length = 0
start = performance.now()
for (let r = 0; r < repeats; r++) {
  const detokenizer = model.detokenizer()
  for (const id of all) length += detokenizer.push(id).length
}
const each = (1e6 * (performance.now() - start)) / (repeats * all.length)
console.log(`detokenizer: ${each.toFixed(0)} ns a token (${repeats * all.length} tokens, ${length} characters)`)
console.log(JSON.stringify({ encodeWrong: wrong, decodeWrong: alone, nsPerToken: Math.round(each) }))
