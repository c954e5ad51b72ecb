import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateJson, streamJson } from './response.ts'
import { eventFrame } from './sse.ts'

const token = { id: 3, text: ' "a"\n', logprob: Math.fround(-0.34), special: false }
const prompt = { id: 1, text: '<s>', logprob: null }

test('a generation without details is its text', () => {
  assert.equal(generateJson({ generated_text: 'é\u2028' }), '{"generated_text":"é\u2028"}')
})

test('details come in the order clients know, the seed whole', () => {
  const one = {
    finish_reason: 'length' as const,
    generated_tokens: 1,
    seed: 18446744073709551615n,
    prefill: [prompt],
    tokens: [token],
    top_tokens: [],
  }
  assert.equal(
    generateJson({
      generated_text: 'a',
      details: { ...one, best_of_sequences: [{ ...one, generated_text: 'b', seed: null, top_tokens: [[token], []] }] },
    }),
    '{"generated_text":"a","details":{"finish_reason":"length","generated_tokens":1,"seed":18446744073709551615,' +
      '"prefill":[{"id":1,"text":"<s>","logprob":null}],' +
      '"tokens":[{"id":3,"text":" \\"a\\"\\n","logprob":-0.34,"special":false}],' +
      '"best_of_sequences":[{"generated_text":"b","finish_reason":"length","generated_tokens":1,"seed":null,' +
      '"prefill":[{"id":1,"text":"<s>","logprob":null}],' +
      '"tokens":[{"id":3,"text":" \\"a\\"\\n","logprob":-0.34,"special":false}],' +
      '"top_tokens":[[{"id":3,"text":" \\"a\\"\\n","logprob":-0.34,"special":false}],[]]}]}}',
  )
})

test('an event is one line', () => {
  const event = { index: 1, token, top_tokens: [], generated_text: null, details: null }
  assert.equal(
    eventFrame(streamJson(event)),
    'data: {"index":1,"token":{"id":3,"text":" \\"a\\"\\n","logprob":-0.34,"special":false},"generated_text":null,"details":null}\n\n',
  )
  const details = { finish_reason: 'eos_token' as const, generated_tokens: 1, seed: 0n, input_length: 4 }
  assert.equal(
    streamJson({
      ...event,
      top_tokens: [{ ...token, logprob: Number.NEGATIVE_INFINITY }],
      generated_text: 'x',
      details,
    }),
    '{"index":1,"token":{"id":3,"text":" \\"a\\"\\n","logprob":-0.34,"special":false},' +
      '"top_tokens":[{"id":3,"text":" \\"a\\"\\n","logprob":null,"special":false}],"generated_text":"x",' +
      '"details":{"finish_reason":"eos_token","generated_tokens":1,"seed":0,"input_length":4}}',
  )
})
