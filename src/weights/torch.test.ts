import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LoquentError } from '../base/errors.ts'
import { openCheckpoint } from './open.ts'
import { openTorch } from './torch.ts'

const goldens = fileURLToPath(new URL('../../test/goldens/', import.meta.url))
const torch = join(goldens, 'torch')
const root = mkdtempSync(join(tmpdir(), 'loquent-torch-'))
after(() => rmSync(root, { recursive: true }))

interface Golden {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: string
}

const expected: Readonly<Record<string, Golden>> = JSON.parse(readFileSync(join(torch, 'tensors.json'), 'utf8'))
const map = (file: string) => Uint8Array.from(readFileSync(file)).buffer

function refuses(open: () => unknown, message: RegExp): void {
  assert.throws(open, (error) => {
    assert.ok(error instanceof LoquentError, String(error))
    assert.equal(error.code, 'weights.malformed')
    assert.match(error.message, message)
    return true
  })
}

for (const file of ['archive.bin', 'legacy.bin']) {
  for (const how of ['read', 'mapped'] as const) {
    test(`${file}, ${how}: every tensor as PyTorch has it`, () => {
      const opened = openTorch(join(torch, file), how === 'mapped' ? map : undefined)
      const found = [
        ...opened.tensors.map((tensor) => ({ ...tensor, dtype: tensor.format.toUpperCase() })),
        ...opened.others,
      ].map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, bytes: Buffer.from(bytes()).toString('base64') }])
      assert.deepEqual(Object.fromEntries(found), expected)
      assert.deepEqual(
        opened.others.map(({ name }) => name),
        ['ids', 'mask'],
      )
      opened.close()
    })
  }
}

test('shards of both formats and their index hold what the safetensors file does', () => {
  const ours = openCheckpoint(join(torch, 'sharded'))
  const theirs = openCheckpoint(join(goldens, 'llama/gqa'))
  assert.deepEqual([...ours.catalog.tensors.keys()].sort(), [...theirs.catalog.tensors.keys()].sort())
  for (const [name, { format, shape, bytes }] of theirs.catalog.tensors) {
    const tensor = ours.catalog.tensors.get(name)!
    assert.deepEqual([tensor.format, tensor.shape], [format, shape])
    assert.deepEqual(Buffer.from(tensor.bytes()), Buffer.from(bytes()), name)
  }
  assert.deepEqual(ours.config, theirs.config)
  ours.close()
  theirs.close()
})

test('a pickle that calls a function is refused, and nothing is run', () => {
  const before = readdirSync('.')
  refuses(() => openTorch(join(torch, 'refused/call.bin')), /wants "(posix|os|nt)\.system", which no tensor needs/)
  assert.deepEqual(readdirSync('.'), before)
  assert.equal(existsSync('harm'), false)
})

test('what is no dict of plain tensors is refused, with the reason', () => {
  const reasons: Readonly<Record<string, RegExp>> = {
    expanded: /a tensor larger than its storage/,
    number: /no tensor \(tensor step\)/,
    list: /no dict of tensors/,
    key: /a key that is no string/,
    complex: /wants "torch\.ComplexFloatStorage"/,
    compressed: /a compressed entry/,
  }
  for (const [file, reason] of Object.entries(reasons))
    refuses(() => openTorch(join(torch, 'refused', `${file}.bin`)), reason)
})

/** A pickle of protocol 2 as a file before 1.6 begins with. */
const pickled = (...bytes: (number | string)[]) =>
  Buffer.concat([
    Buffer.from([0x80, 2]),
    ...bytes.map((b) => (typeof b === 'string' ? Buffer.from(b) : Buffer.from([b]))),
  ])

test('pickles that are broken or too much', () => {
  const file = (bytes: Uint8Array) => {
    const path = join(root, 'x.bin')
    writeFileSync(path, bytes)
    return () => openTorch(path)
  }
  refuses(file(Buffer.from('')), /ends in the middle/)
  refuses(file(Buffer.from('PK\x03\x04')), /middle of a record|no end record/)
  refuses(file(Buffer.from('nothing')), /no pickle of protocol 2/)
  refuses(file(pickled(0x4e, '.')), /no file of PyTorch/)
  refuses(file(pickled(0x42)), /opcode 0x42 is not read/)
  refuses(file(pickled('.')), /takes more than there is/)
  refuses(file(pickled('(', 0x85)), /takes more than there is/)
  refuses(file(pickled('t')), /no mark/)
  refuses(file(pickled(']a')), /takes more than there is/)
  refuses(file(pickled('NNa')), /appends to no list/)
  refuses(file(pickled('NNNs')), /items of no dict/)
  refuses(file(pickled('h', 7)), /no memo 7/)
  refuses(file(pickled('cos\nsystem\n')), /wants "os\.system"/)
  refuses(file(pickled(`c${'x'.repeat(200)}`)), /a name that does not end/)
  refuses(file(pickled('NNR')), /cannot be called/)
  refuses(file(pickled('NQ')), /no tuple/)
  refuses(file(pickled('NNb')), /attributes/)
  refuses(file(pickled(0x8a, 200)), /integer of 200 bytes/)
  refuses(file(pickled('X', 0xff, 0xff, 0xff, 0xff)), /a string of 4294967295 bytes/)
  refuses(file(pickled(...Array.from({ length: 100_000 }, () => ']'), 'X')), /ends in the middle/)
  refuses(file(pickled(']'.repeat(2 ** 21 + 1))), /more than 2097152 values/)
})

test('an archive of more than 4 GiB has its sizes elsewhere', () => {
  const bytes = readFileSync(join(torch, 'archive.bin'))
  const end = bytes.length - 22
  const [entries, size, start] = [
    bytes.readUInt16LE(end + 10),
    bytes.readUInt32LE(end + 12),
    bytes.readUInt32LE(end + 16),
  ]
  const records: Buffer[] = []
  for (let at = start, i = 0; i < entries; i++) {
    const length = 46 + bytes.readUInt16LE(at + 28) + bytes.readUInt16LE(at + 30)
    const record = Buffer.from(bytes.subarray(at, at + length))
    // An extra field of another kind stands before the one that counts.
    const extra = Buffer.alloc(4 + 2 + 4 + 24)
    extra.writeUInt16LE(0x7777, 0)
    extra.writeUInt16LE(2, 2)
    extra.writeUInt16LE(1, 6)
    extra.writeUInt16LE(24, 8)
    for (const [n, field] of [24, 20, 42].entries()) {
      extra.writeBigUInt64LE(BigInt(record.readUInt32LE(field)), 10 + 8 * n)
      record.writeUInt32LE(0xffffffff, field)
    }
    record.writeUInt16LE(extra.length, 30)
    records.push(Buffer.concat([record, extra]))
    at += length
  }
  const directory = Buffer.concat(records)
  const tail = Buffer.from(bytes.subarray(start + size))
  tail.writeBigUInt64LE(BigInt(directory.length), 40)
  tail.writeBigUInt64LE(BigInt(start + directory.length), 56 + 8)
  tail.fill(0xff, tail.length - 22 + 8, tail.length - 2)
  const path = join(root, 'big.bin')
  writeFileSync(path, Buffer.concat([bytes.subarray(0, start), directory, tail]))
  const [big, small] = [openTorch(path), openTorch(join(torch, 'archive.bin'))]
  assert.deepEqual(
    big.tensors.map(({ name, offset }) => [name, offset]),
    small.tensors.map(({ name, offset }) => [name, offset]),
  )
  big.close()
  small.close()
  tail.writeBigUInt64LE(2n ** 60n, 40)
  writeFileSync(path, Buffer.concat([bytes.subarray(0, start), directory, tail]))
  refuses(() => openTorch(path), /past the end of the file/)
})
