import { type FormatName, formats } from '../tensor/format.ts'
import { kvFormats } from '../tensor/kv-format.ts'
import { domains, type Limits } from './domain.ts'
import { type FrameField, frameFields } from './frame.ts'
import { type OpName, type OpShape, ops } from './table.ts'

/**
 * The C++ face of the op table: `native/gen/ops.h` is this text, so that native code cannot drift from the table.
 * Everything is 32-bit words; an encoded program is cast to these structs in place.
 */

/** First word of an encoded program: "LOQ1". */
export const programMagic = 0x31514f4c

/** Bytes a unit of every offset: 32-bit words then reach 128 GiB. */
export const lineBytes = 64

/** Words of an operand: space, offset, domain, rows, width, stride, column, format | layout << 8. */
export const operandWords = 8

/** Names of the limits in the order of their words. */
export const limitNames = [
  'tokens',
  'sequences',
  'samples',
  'context',
  'blocks',
  'blockSize',
  'vocabulary',
  'topTokens',
  'masks',
] as const satisfies readonly (keyof Limits)[]

/** Words before the limits, in order; sizes of the arenas and the frame are in lines. */
export const programWords = [
  'magic',
  'hash',
  'words',
  'instructions',
  'caches',
  'weightLines',
  'activationLines',
  'cacheLines',
  'frameLines',
] as const

/** Words of a KV cache: where its layer begins in the cache arena, in lines, its shape, and its format. */
export const cacheWords = ['offset', 'blockLines', 'kvHeads', 'headDim', 'format'] as const

export const fieldNames = Object.keys(frameFields) as readonly FrameField[]

// The two floors below `graph` may not import it; a test holds these equal to graph/program.ts.
export const spaceNames = ['none', 'weights', 'activations', 'frame'] as const
export const layoutNames = ['rows', 'panels'] as const

const capital = (s: string) => s[0]!.toUpperCase() + s.slice(1)
const entries = Object.entries(ops) as [OpName, OpShape][]
const enumeration = (name: string, members: readonly (readonly [string, number])[]) =>
  `enum class ${name} : int32_t { ${members.map(([m, v]) => `${m} = ${v}`).join(', ')} };`
const indexed = (names: readonly string[]) => names.map((n, i) => [n, i] as const)

function attributeEnums(): string[] {
  const seen = new Map<string, readonly string[]>()
  for (const [, { attributes }] of entries) {
    for (const [name, type] of Object.entries(attributes)) {
      if (typeof type !== 'string') seen.set(capital(name), type)
    }
  }
  return [...seen].map(([name, members]) => enumeration(name, indexed(members)))
}

function opStruct(name: OpName, shape: OpShape): string {
  const operands = Object.keys(shape.operands).map((o) => `  Operand ${o};`)
  const attributes = Object.entries(shape.attributes).map(([a, type]) => {
    if (typeof type !== 'string') return `  ${capital(a)} ${a};`
    return `  ${type === 'f32' ? 'float' : 'int32_t'} ${a};`
  })
  return [
    `/** ${shape.doc} */`,
    `struct ${capital(name)} {`,
    `  static constexpr Op op = Op::${name};`,
    ...operands,
    ...attributes,
    '};',
  ].join('\n')
}

function opRule(name: OpName, shape: OpShape): string {
  const rules = Object.entries(shape.operands).map(([o, r]) => `{"${o}", Kind::${r.kind}, ${r.optional === true}}`)
  return `    {"${name}", ${shape.id}, ${instructionWords(shape)}, ${rules.length}, {${rules.join(', ')}}},`
}

/** Words of an instruction after its op code and length. */
export function instructionWords(shape: OpShape): number {
  return Object.keys(shape.operands).length * operandWords + Object.keys(shape.attributes).length
}

function body(): string {
  const formatEntries = Object.entries(formats) as [FormatName, (typeof formats)[FormatName]][]
  const mostOperands = Math.max(...entries.map(([, s]) => Object.keys(s.operands).length))
  return [
    `constexpr int32_t programMagic = ${programMagic};`,
    `constexpr int32_t lineBytes = ${lineBytes};`,
    enumeration('Domain', Object.entries(domains)),
    enumeration('Space', indexed(spaceNames)),
    enumeration('Layout', indexed(layoutNames)),
    enumeration(
      'Format',
      formatEntries.map(([n, f]) => [n, f.id]),
    ),
    enumeration('KvFormat', Object.entries(kvFormats)),
    'struct FormatShape { int32_t elementsPerBlock, bytesPerBlock, bytesPerRow; };',
    `constexpr int32_t formatCount = ${formatEntries.length};`,
    '/** Indexed by format id. */',
    'constexpr FormatShape formatShapes[] = {',
    ...formatEntries.map(([n, f]) => `    {${f.elementsPerBlock}, ${f.bytesPerBlock}, ${f.bytesPerRow}},  // ${n}`),
    '};',
    `struct Limits { int32_t ${limitNames.join(', ')}; };`,
    `struct ProgramHeader { int32_t ${programWords.join(', ')}; Limits limits; };`,
    `struct CacheRecord { int32_t ${cacheWords.join(', ')}; };`,
    enumeration('Field', indexed(fieldNames)),
    `constexpr int32_t fieldCount = ${fieldNames.length};`,
    enumeration(
      'Op',
      entries.map(([n, s]) => [n, s.id]),
    ),
    `constexpr int32_t opCount = ${Math.max(...entries.map(([, s]) => s.id)) + 1};`,
    ...attributeEnums(),
    '/** An operand resolved to memory: offset in lines, the rest in elements; storage is format | layout << 8. */',
    'struct Operand { int32_t space, offset, domain, rows, width, stride, column, storage; };',
    'enum class Kind : int32_t { activation, weight, frame, output };',
    'struct OperandRule { const char* name; Kind kind; bool optional; };',
    `struct OpRule { const char* name; int32_t id, words, operands; OperandRule operand[${mostOperands}]; };`,
    'constexpr OpRule opRules[] = {',
    ...entries.map(([n, s]) => opRule(n, s)),
    '};',
    'namespace op {',
    ...entries.map(([n, s]) => opStruct(n, s)),
    '}  // namespace op',
  ].join('\n')
}

/** FNV-1a of the text: a table changed in any way makes programs that an older addon refuses. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h | 0
}

let known: number | undefined

/** Hash of the whole table as C++ sees it; a program carries it, and an addon built from another table refuses. */
export function tableHash(): number {
  known ??= hash(body())
  return known
}

/** The text of `native/gen/ops.h`. */
export function generateHeader(): string {
  return `// Generated from src/ops by scripts/generate.mjs; edit the op table, not this file.
#pragma once
#include <stdint.h>

namespace loquent {
constexpr int32_t tableHash = ${tableHash()};
${body()}
}  // namespace loquent
`
}
