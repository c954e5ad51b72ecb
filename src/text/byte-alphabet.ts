/** Printable bytes stand for themselves in byte-level vocabularies; the others for code points from 256 on, in order (GPT-2). */
const printable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

const FIRST_SUBSTITUTE = 256

const bytes: (number | undefined)[] = []
{
  let next = FIRST_SUBSTITUTE
  for (let byte = 0; byte < 256; byte++) bytes[printable(byte) ? byte : next++] = byte
}

/** The byte a letter of a byte-level token stands for; undefined for a code unit outside the alphabet. */
export const byteOfLetter = (codeUnit: number): number | undefined => bytes[codeUnit]
