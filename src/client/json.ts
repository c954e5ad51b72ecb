/*
 * JSON as the server speaks it: seeds are 64-bit integers, which a number cannot hold. They are digits on the wire and
 * bigints here.
 */

/** A key named `seed` and its number. Inside a text the quotes would be escaped, so this is never part of one. */
const seedMember = /"seed":\s*(\d+)/g

export function parseJson(text: string): unknown {
  return JSON.parse(text.replaceAll(seedMember, '"seed":"$1"'), (key, value) =>
    key === 'seed' && typeof value === 'string' && /^\d+$/.test(value) ? BigInt(value) : value,
  )
}

/** An object as JSON; its `seed` may be a bigint. Members that are undefined are left out. */
export function objectJson({ seed, ...members }: Readonly<Record<string, unknown>>): string {
  const json = JSON.stringify(members)
  if (seed === undefined) return json
  return `{"seed":${seed}${json === '{}' ? '' : ','}${json.slice(1)}`
}
