/** Start and stop of a token in the UTF-8 bytes of its text. */
export type Span = readonly [start: number, stop: number]

/** Byte offset of every code point of `text`, and of its end. */
function byteOffsets(text: string): Uint32Array {
  const offsets = new Uint32Array(text.length + 1)
  let count = 0
  let bytes = 0
  for (const character of text) {
    offsets[count++] = bytes
    const code = character.codePointAt(0)!
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  offsets[count] = bytes
  return offsets.subarray(0, count + 1)
}

const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length

/** Turns code point offsets, as the tokenizer binding gives them, into UTF-8 byte offsets of `text`. */
export function spanConverter(text: string): (spans: readonly (readonly number[])[]) => readonly Span[] {
  if (isAscii(text)) return (spans) => spans as unknown as readonly Span[]
  const at = byteOffsets(text)
  const last = at.length - 1
  return (spans) => spans.map(([start, stop]) => [at[Math.min(start!, last)]!, at[Math.min(stop!, last)]!])
}
