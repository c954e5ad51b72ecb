import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTemplate } from '../text/chat-template.ts'
import { renderChat } from './chat.ts'

const plain =
  '{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}{% if add_generation_prompt %}<assistant>\n{% endif %}'
const calling =
  '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}({{ c.function.arguments.city }}){% endfor %}{% endif %}{{ m.tool_call_id }}</>{% endfor %}'
const call = { id: '0', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } }

const render = (source: string, ...messages: Parameters<typeof renderChat>[1]) =>
  renderChat(compileTemplate(source, {}), messages)

test('a conversation ends with the opening of an answer', () => {
  assert.equal(render(plain, { role: 'user', content: 'hi' }), '<user>hi</>\n<assistant>\n')
})

test('a last message of the assistant is gone on with', () => {
  const messages = [
    { role: 'user', content: 'Once' },
    { role: 'assistant', content: 'Once upon ' },
  ]
  assert.equal(render(plain, ...messages), '<user>Once</>\n<assistant>Once upon')
})

test('content that the template changed, or none at all, leaves the prompt as it is', () => {
  const shout = '{% for m in messages %}{{ m.content | upper }}{% endfor %}!\n'
  assert.equal(render(shout, { role: 'assistant', content: 'abc' }), 'ABC!')
  assert.equal(render(plain, { role: 'assistant', content: '' }), '<assistant></>\n<assistant>\n')
})

test('calls and their results reach a template that knows them, arguments as values', () => {
  const messages = [
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', content: '6.7', tool_call_id: '0' },
  ]
  assert.equal(render(calling, ...messages), '<assistant>weather(Paris)</><tool>6.70</>')
})

test('a template that knows no calls gets them as content', () => {
  assert.equal(
    render(plain, { role: 'assistant', content: '', tool_calls: [call] }, { role: 'user', content: 'x' }),
    '<assistant>[{"id":"0","type":"function","function":{"description":null,"name":"weather","arguments":"{\\"city\\":\\"Paris\\"}"}}]</>\n<user>x</>\n<assistant>\n',
  )
})
