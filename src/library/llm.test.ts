import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { LoquentError } from '../base/errors.ts'
import { embeddedModel } from './embedded.ts'
import type { GenerateOptions, LLM, StreamEvent } from './index.ts'
import { load } from './load.ts'
import { detectWatermark } from './watermark.ts'

const question = 'What is Deep Learning?'

describe('a loaded model', () => {
  let llm: LLM
  before(async () => {
    llm = await load()
  })
  after(() => llm.close())

  const eventsOf = async (prompt: string, options: GenerateOptions) => {
    const events: StreamEvent[] = []
    for await (const event of llm.stream(prompt, options)) events.push(event)
    return events
  }

  test('streams what generate returns, token by token', async () => {
    const options = { maxNewTokens: 30, topNTokens: 2 }
    const events = await eventsOf(question, options)
    const whole = await llm.generate(question, options)
    assert.deepEqual(
      events.map((e) => e.token),
      whole.tokens,
    )
    assert.deepEqual(
      events.map((e) => e.index),
      whole.tokens.map((_, i) => i + 1),
    )
    assert.equal(events.filter((e) => e.final).length, 1)
    assert.equal(events.at(-1)?.final?.text, whole.text)
    assert.equal(
      whole.tokens
        .filter((t) => !t.special)
        .map((t) => t.text)
        .join(''),
      whole.text,
    )
    assert.ok(whole.topTokens.every((top, i) => top.length >= 2 && top[0]!.id === whole.tokens[i]!.id))
  })

  test('answers a chat and stops by itself', async () => {
    const answer = await llm.chat([{ role: 'user', content: question }], { maxNewTokens: 200 })
    assert.equal(answer.finishReason, 'eos_token')
    assert.match(answer.text, /learning/i)
    assert.equal(answer.tokens.at(-1)?.special, true)
    assert.doesNotMatch(answer.text, /<\|/)
  })

  test('a seed gives the same draw again, another one a different draw', async () => {
    const draw = async (seed: bigint) => (await llm.generate('Once', { maxNewTokens: 20, temperature: 1.5, seed })).text
    const seeds = [1n, 2n, 3n, 2n ** 64n - 1n]
    const first = await Promise.all(seeds.map(draw))
    assert.deepEqual(await Promise.all(seeds.map(draw)), first)
    assert.ok(new Set(first).size > 1)
    const { seed } = await llm.generate('Once', { maxNewTokens: 1, doSample: true })
    assert.equal(typeof seed, 'bigint')
    assert.equal((await llm.generate('Once', { maxNewTokens: 1, seed: 5 })).seed, null)
  })

  test('a stop sequence ends the text where it ends, also inside a token', async () => {
    const free = await llm.generate(question, { maxNewTokens: 30 })
    const at = free.text.indexOf(' ', free.text.length / 2)
    const stop = free.text.slice(at - 3, at + 2)
    const stopped = await llm.generate(question, { maxNewTokens: 30, stop: ['never said', stop] })
    assert.equal(stopped.finishReason, 'stop_sequence')
    assert.equal(stopped.text, free.text.slice(0, free.text.indexOf(stop) + stop.length))
    assert.ok(stopped.generatedTokens <= free.generatedTokens)
  })

  test('prompt log-probabilities: the first null, the others negative', async () => {
    const { prefill, inputTokens } = await llm.generate(question, { maxNewTokens: 1, promptLogprobs: true })
    assert.equal(prefill.length, inputTokens)
    assert.equal(prefill[0]?.logprob, null)
    assert.ok(prefill.slice(1).every((t) => t.logprob! < 0))
  })

  test('truncate keeps the end of the prompt; return_full_text puts the prompt in front', async () => {
    const long = `${'word '.repeat(50)}${question}`
    const cut = await llm.generate(long, { maxNewTokens: 5, truncate: 8, returnFullText: true, promptLogprobs: true })
    assert.equal(cut.inputTokens, 8)
    assert.ok(cut.text.startsWith(long))
    assert.match(cut.prefill.map((t) => t.text).join(''), /Learning\?$/)
  })

  test('an aborted request ends with a typed error and frees its blocks', async () => {
    const abort = new AbortController()
    const run = async () => {
      for await (const { index } of llm.stream('Once upon a time', { temperature: 3, signal: abort.signal })) {
        if (index === 3) abort.abort()
      }
    }
    await assert.rejects(run, { code: 'request.aborted' })
    for (let tries = 0; (await llm.stats()).blocks.held > 0; tries++) assert.ok(tries < 100, 'blocks stay held')
  })

  const bad: [string, string, GenerateOptions, RegExp][] = [
    ['temperature', 'x', { temperature: 0 }, /`temperature` must be strictly positive/],
    ['top_p', 'x', { topP: 1.5 }, /`top_p` must be > 0\.0 and < 1\.0/],
    ['top_k', 'x', { topK: 0 }, /`top_k` must be strictly positive/],
    ['max_new_tokens', 'x', { maxNewTokens: 0 }, /`max_new_tokens` must be strictly positive/],
    ['seed', 'x', { seed: 2n ** 64n }, /`seed`/],
    ['empty prompt', '', {}, /`inputs` cannot be empty/],
    [
      'prompt too long',
      'word '.repeat(5000),
      {},
      /`inputs` tokens \+ `max_new_tokens` must be <= \d+\. Given: \d+ `inputs` tokens and 0 /,
    ],
    [
      'no room',
      'word '.repeat(300),
      { maxNewTokens: 1024 },
      /`inputs` tokens \+ `max_new_tokens` must be <= \d+\. Given: \d+ /,
    ],
  ]
  for (const [name, prompt, options, message] of bad) {
    test(`refuses: ${name}`, async () => {
      await assert.rejects(
        llm.generate(prompt, options),
        (e) => e instanceof LoquentError && e.code === 'request.invalid' && message.test(e.message),
      )
      assert.equal((await llm.generate(question, { maxNewTokens: 1 })).generatedTokens, 1)
    })
  }
})

test('a watermark is found where it was asked for, and nowhere else', async () => {
  // The embedded model is so sure of its words that TGI's gentle delta of 2 hardly moves it.
  const llm = await load(embeddedModel, { watermark: { delta: 12 } })
  try {
    const options = { maxNewTokens: 100, temperature: 1.5, seed: 3 }
    const prompts = ['Once upon a time', 'The weather', 'My name is', 'A computer']
    const idsOf = async (watermark: boolean) => {
      const answers = await Promise.all(prompts.map((p) => llm.generate(p, { ...options, watermark })))
      return answers.flatMap((g) => g.tokens.map((t) => t.id))
    }
    const { vocabulary } = llm.info
    assert.ok(detectWatermark(await idsOf(true), vocabulary).zScore > 5)
    assert.ok(Math.abs(detectWatermark(await idsOf(false), vocabulary).zScore) < 4)
  } finally {
    await llm.close()
  }
})

describe('models that cannot be loaded', () => {
  const folder = mkdtempSync(join(tmpdir(), 'loquent-'))
  after(() => rmSync(folder, { recursive: true }))

  test('no such path, a folder without weights', async () => {
    await assert.rejects(load(join(folder, 'nothing')), { code: 'model.not_found' })
    await assert.rejects(load(folder), { code: 'model.not_found' })
  })

  test('an architecture nobody knows, a configuration that does not fit', async () => {
    const copy = join(folder, 'copy')
    cpSync(embeddedModel, copy, { recursive: true })
    const json = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'))
    const withConfig = (changes: object) => {
      writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...json, ...changes }))
      return load(copy)
    }
    await assert.rejects(withConfig({ architectures: ['OtherForCausalLM'] }), { code: 'model.architecture' })
    await assert.rejects(withConfig({ hidden_size: 'wide' }), { code: 'model.config' })
    await assert.rejects(withConfig({ intermediate_size: 10 }), { code: 'weights.missing' })
  })

  test('weights that end too early', async () => {
    const copy = join(folder, 'short')
    cpSync(embeddedModel, copy, { recursive: true })
    truncateSync(join(copy, 'model.safetensors'), 100_000)
    await assert.rejects(load(copy), { code: 'weights.malformed' })
  })

  test('a corrupt GGUF file', async () => {
    const file = join(folder, 'corrupt.gguf')
    writeFileSync(file, Buffer.from('GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f', 'latin1'))
    await assert.rejects(load(file), { code: 'weights.malformed' })
  })
})
