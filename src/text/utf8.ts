/** Bytes a UTF-8 character has, by its first byte; 0 for a byte that begins none (RFC 3629). */
function lengthOf(lead: number): number {
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}

/** Whether `second` may follow `lead`: overlong forms, surrogates and code points past U+10FFFF end here. */
function mayFollow(lead: number, second: number): boolean {
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  return second >= low && second <= high
}

/** Number of bytes at the end of `bytes` that begin a UTF-8 character without completing it: 0 to 3. */
export function incompleteTail(bytes: Uint8Array): number {
  for (let count = 1; count <= 3 && count <= bytes.length; count++) {
    const at = bytes.length - count
    const lead = bytes[at]!
    if (lead >= 0x80 && lead < 0xc0) continue
    if (lengthOf(lead) <= count) return 0
    return count === 1 || mayFollow(lead, bytes[at + 1]!) ? count : 0
  }
  return 0
}

/** Text of bytes; every ill-formed sequence becomes U+FFFD once per maximal part, as everywhere on the web and in Rust. */
export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
