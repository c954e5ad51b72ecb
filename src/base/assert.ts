/** Asserts an invariant of our own code (never of input: input gets a typed error from `errors.ts`). */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`)
}
