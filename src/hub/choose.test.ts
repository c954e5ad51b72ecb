import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoquentError } from '../base/errors.ts'
import { chooseFiles, matches } from './choose.ts'
import { checkRevision, isModelId, isSafePath } from './model-id.ts'

test('patterns', () => {
  assert.ok(matches('a/b.json', '*.json'))
  assert.ok(matches('model-00001.safetensors', 'model-0000?.safetensors'))
  assert.ok(!matches('xjson', '*.json'))
  assert.ok(!matches('b.json.bak', '*.json'))
  fc.assert(fc.property(fc.string(), (text) => matches(text, text.replaceAll(/[*?]/g, '?'))))
})

test('safetensors before .bin before .gguf', () => {
  const small = ['config.json', 'merges.txt', 'tokenizer.model', 'chat_template.jinja']
  const choose = (...paths: string[]) =>
    chooseFiles('m', [...paths, ...small], {}).filter((path) => !small.includes(path))
  assert.deepEqual(choose('a-1.safetensors', 'consolidated.safetensors', 'x.bin', 'sub/b.safetensors'), [
    'a-1.safetensors',
  ])
  assert.deepEqual(choose('pytorch_model-1.bin', 'optimizer.bin', 'pytorch_model.bin.index.json', 'm.gguf'), [
    'pytorch_model-1.bin',
    'pytorch_model.bin.index.json',
  ])
  assert.deepEqual(choose('m.gguf', 'modeling.py'), ['m.gguf'])
  assert.throws(() => choose('modeling.py'), LoquentError)
  assert.deepEqual(chooseFiles('m', ['a.gguf', 'b.gguf'], { exclude: ['b*'] }), ['a.gguf'])
  assert.deepEqual(chooseFiles('m', ['a.gguf', 'b.py'], { include: ['*'] }), ['a.gguf', 'b.py'])
})

test('ids, revisions and paths', () => {
  for (const id of ['gpt2', 'org/name', 'Org-1/na.me_2', 'a/b']) assert.ok(isModelId(id), id)
  for (const id of [
    '',
    '/a',
    './a',
    '../a',
    'a/b/c',
    'a/',
    'a--b',
    'a..b',
    'model.gguf',
    'a/b.safetensors',
    'a b',
    'a.git',
    'x'.repeat(97),
  ])
    assert.ok(!isModelId(id), id)
  for (const revision of ['main', 'v1.0', 'refs/pr/1', 'feature/x']) assert.equal(checkRevision(revision), revision)
  for (const revision of ['', '..', 'a/../b', 'a//b', '/a', 'a b', 'a?b'])
    assert.throws(() => checkRevision(revision), LoquentError)
  for (const path of ['a', 'a/b.json', '.gitattributes']) assert.ok(isSafePath(path), path)
  for (const path of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/.', 'a\\b', 'C:a', 'a\0'])
    assert.ok(!isSafePath(path), path)
})
