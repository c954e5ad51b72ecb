/** Significant decimal digits that always bring a float32 back. */
const MAX_DIGITS = 9
/** m * 2^-k has k decimals, 5^k times m in all: only with k < 15 are they few enough to lie half-way between two. */
const TIE_SCALE = 2 ** 14
/** Decimals after the shortest that tell a tie from a near tie of a 24-bit number. */
const EXACT_DIGITS = 24

const bits = new DataView(new ArrayBuffer(4))

/**
 * Decimal text of a float32: the fewest digits that read back as the same float32, `null` for what JSON cannot say
 * (NaN and infinities). Written as the reference server's clients see it: `-0.34`, `1.0`, `1e-7`.
 */
export function float32Json(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return 'null'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const single = Math.fround(value)
  return Number.isFinite(single) ? (everyday(single) ?? decimalText(shortest(single))) : 'null'
}

/** Powers of ten that are doubles, from 10^0. */
const tens = Array.from({ length: MAX_DIGITS + 5 }, (_, i) => 10 ** i)
/** From here to there a double's own text is in the notation wanted, and ten to the power of its decimals in the table. */
const EVERYDAY_LEAST = 1e-4
const EVERYDAY_MOST = 1e6
/** So near to the middle of two decimals the product with a power of ten may have fallen on the wrong side. */
const NEAR_TIE = 1e-4

/**
 * What `shortest` finds, by arithmetic alone where that cannot go wrong: four times faster, and most numbers that are told
 * are such. A decimal of so few digits is a whole number over a power of ten, and the quotient its nearest double.
 */
function everyday(single: number): string | undefined {
  const size = Math.abs(single)
  if (!(size >= EVERYDAY_LEAST && size < EVERYDAY_MOST) || isPowerOfTwo(single)) return undefined
  // Decimals of the first digit, and of the last one that can be needed.
  const first = size >= 1 ? 0 : size >= 0.1 ? 1 : size >= 0.01 ? 2 : size >= 0.001 ? 3 : 4
  for (let decimals = first; decimals <= first + MAX_DIGITS - 1; decimals++) {
    const scale = tens[decimals]!
    const scaled = single * scale
    const whole = Math.round(scaled)
    const decimal = whole / scale
    if (Math.fround(decimal) !== single) continue
    if (Math.abs(Math.abs(scaled - whole) - 0.5) < NEAR_TIE) return undefined
    return plainText(whole, decimals)
  }
  return undefined
}

/** Decimal text of `whole` over ten to the power of `decimals`. */
function plainText(whole: number, decimals: number): string {
  if (decimals === 0) return `${whole}.0`
  const sign = whole < 0 ? '-' : ''
  const digits = `${Math.abs(whole)}`.padStart(decimals + 1, '0')
  const point = digits.length - decimals
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** Decimal text of a double, in the same notation. */
export const float64Text = (value: number): string => decimalText(value.toExponential())

/** The fewest digits, in exponential notation. */
function shortest(single: number): string {
  let best = single.toExponential(MAX_DIGITS - 1)
  for (let digits = MAX_DIGITS - 1; digits >= 1; digits--) {
    const text = single.toExponential(digits - 1)
    if (Math.fround(Number(text)) !== single) {
      return upper(single, digits) ?? even(single, digits + 1, best)
    }
    best = text
  }
  return best
}

/** Of two decimals equally near, the even one; `toExponential` gives the one away from zero. */
function even(single: number, digits: number, best: string): string {
  if (!Number.isInteger(single * TIE_SCALE)) return best
  const last = best.indexOf('e') - 1
  if (Number(best[last]) % 2 === 0) return best
  const [mantissa] = single.toExponential(digits + EXACT_DIGITS).split('e') as [string]
  if (!/^50*$/.test(mantissa.replace(/^-?\d\.?/, '').slice(digits - 1))) return best
  const down = `${best.slice(0, last)}${Number(best[last]) - 1}${best.slice(last + 1)}`
  return Math.fround(Number(down)) === single ? down : best
}

/**
 * Below a power of two the float32 numbers lie twice as close as above: the nearest short decimal may then read back
 * as another number while the next one away from zero reads back right.
 */
function upper(single: number, digits: number): string | undefined {
  if (!isPowerOfTwo(single)) return undefined
  const [mantissa, exponent] = single.toExponential(digits - 1).split('e') as [string, string]
  const step = 10 ** -(digits - 1)
  const next = `${(Number(mantissa) + Math.sign(single) * step).toFixed(digits - 1)}e${exponent}`
  return Math.fround(Number(next)) === single ? next : undefined
}

function isPowerOfTwo(single: number): boolean {
  bits.setFloat32(0, single)
  return (bits.getUint32(0) & 0x7fffff) === 0
}

/** `d.ddde±x` in plain notation between 1e-5 and 1e16, with an exponent outside. */
function decimalText(exponential: string): string {
  const [mantissa, power] = exponential.split('e') as [string, string]
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace('-', '').replace('.', '')
  const point = Number(power) + 1
  if (point > 16 || point <= -5) {
    const tail = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${sign}${digits[0]}${tail}e${point - 1}`
  }
  if (point >= digits.length) return `${sign}${digits.padEnd(point, '0')}.0`
  if (point > 0) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
  return `${sign}0.${'0'.repeat(-point)}${digits}`
}
