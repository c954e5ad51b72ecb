import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTemplate } from './chat-template.ts'
import { MAX_RENDERED_LENGTH, strftime } from './template-engine.ts'

const chat = [
  { role: 'user', content: 'Hello, how are you?' },
  { role: 'assistant', content: "I'm doing great." },
  { role: 'user', content: 'Show me.' },
]
const tokens = { bosToken: '<s>', eosToken: '</s>' }

const CHATML =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

test('ChatML, with and without the assistant opened', () => {
  const template = compileTemplate(CHATML, tokens)
  const body = chat.map((m) => `<|im_start|>${m.role}\n${m.content}<|im_end|>\n`).join('')
  const system = '<|im_start|>system\nBe brief.<|im_end|>\n'
  assert.equal(template.render(chat), `${system}${body}<|im_start|>assistant\n`)
  assert.equal(template.render(chat, { addGenerationPrompt: false }), system + body)
})

test('lines that hold only a block leave nothing behind', () => {
  const source =
    '{% for m in messages %}\n    {% if loop.first %}\nfirst\n    {% endif %}\n{{ m.role }}\n{% endfor %}\n'
  assert.equal(compileTemplate(source, tokens).render(chat), 'first\nuser\nassistant\nuser\n')
})

const ALTERNATING = `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}`

test('bos and eos, strip, roles checked by the template', () => {
  const template = compileTemplate(ALTERNATING, tokens)
  assert.equal(
    template.render(chat),
    "<s>[INST] Hello, how are you? [/INST]I'm doing great.</s>[INST] Show me. [/INST]",
  )
  assert.throws(() => template.render(chat.slice(1)), {
    code: 'template.failed',
    message: 'Conversation roles must alternate user/assistant/user/assistant/...',
  })
})

test('one compiled template renders many times, each from scratch', () => {
  const template = compileTemplate(
    '{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}',
    {},
  )
  assert.equal(template.render(chat), '3')
  assert.equal(template.render(chat.slice(2)), '1')
})

test('several templates: "default", and "tool_use" when tools are given', () => {
  const source = [
    { name: 'default', template: '{{ tools is none }}' },
    { name: 'tool_use', template: '{{ tools[0].name }}' },
  ]
  const template = compileTemplate(source, tokens)
  assert.equal(template.render(chat), 'true')
  assert.equal(template.render(chat, { tools: [{ name: 'clock' }] }), 'clock')
  const plain = compileTemplate(source.slice(0, 1), tokens)
  assert.equal(plain.render(chat, { tools: [{ name: 'clock' }] }), 'false')
  assert.throws(() => compileTemplate([{ name: 'rag', template: '' }], tokens), { code: 'template.missing' })
  assert.throws(() => compileTemplate(source.slice(1), tokens).render(chat), { code: 'template.missing' })
})

test('tokens a model does not have print as nothing', () => {
  assert.equal(compileTemplate('[{{ bos_token }}{{ eos_token }}]', {}).render(chat), '[]')
})

test('syntax and run-time faults are template.failed', () => {
  assert.throws(() => compileTemplate('{% if x %}', tokens), { code: 'template.failed' })
  assert.throws(() => compileTemplate('{{ messages | nonsense }}', tokens).render(chat), {
    code: 'template.failed',
    message: /nonsense/,
  })
})

const runaways = {
  'a loop in a loop': '{% for a in range(60000) %}{% for b in range(60000) %}{% endfor %}{% endfor %}',
  'a doubled string':
    '{% set ns = namespace(x="ab") %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}',
  'a huge range': '{{ range(10000000000) }}',
  'recursion without end': '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
  'more output than the limit': `{% set x = messages[0].content %}{% for i in range(64) %}{{ x }}{% endfor %}`,
}

for (const [what, source] of Object.entries(runaways)) {
  test(`${what} ends in template.failed`, () => {
    const long = [{ role: 'user', content: 'x'.repeat(MAX_RENDERED_LENGTH / 32) }]
    assert.throws(() => compileTemplate(source, tokens).render(long), { code: 'template.failed' })
  })
}

test('the budget of a rendering grows with the messages, not with their square', () => {
  const messages = Array.from({ length: 20_000 }, (_, i) => ({ role: 'user', content: `${i}` }))
  assert.equal(compileTemplate(CHATML, tokens).render(messages).split('im_start').length, messages.length + 3)
  const square = '{% for a in messages %}{% for b in messages %}{% endfor %}{% endfor %}'
  assert.throws(() => compileTemplate(square, tokens).render(messages.slice(0, 1024)), {
    code: 'template.failed',
    message: 'the template does not come to an end',
  })
})

test('dates have English names', () => {
  const date = new Date(2024, 6, 4, 15, 5, 9)
  assert.equal(strftime(date, '%d %b %Y, %A %B %H:%M:%S %I%p %% %q'), '04 Jul 2024, Thursday July 15:05:09 03PM % %q')
})
