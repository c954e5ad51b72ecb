export type Merge = readonly [left: string, right: string]

/** A merge as GGUF writes it: two tokens and the first space between them that is not the first character. */
export function parseMerge(line: string): Merge {
  const at = line.indexOf(' ', 1)
  return [line.slice(0, at), line.slice(at + 1)]
}

interface Candidate {
  readonly merge: Merge
  readonly rank: number
  readonly left: number
  readonly right: number
}

/** Every way to make `token` out of two others, those with the smaller ids first. */
function splits(token: string, rank: number, idOf: ReadonlyMap<string, number>): Candidate[] {
  const letters = Array.from(token)
  const found: Candidate[] = []
  let at = 0
  for (let left = 1; left < letters.length; left++) {
    at += letters[left - 1]!.length
    const merge: Merge = [token.slice(0, at), token.slice(at)]
    if (idOf.has(merge[0]) && idOf.has(merge[1])) found.push({ merge, rank, left, right: letters.length - left })
  }
  const id = (piece: string) => idOf.get(piece)!
  return found.sort((a, b) => id(a.merge[0]) - id(b.merge[0]) || id(a.merge[1]) - id(b.merge[1]))
}

/**
 * Merges of a sentencepiece vocabulary, which stores scores in their place: a pair may merge when its product is a token,
 * and the product with the greater score goes first. Ties are broken as transformers' `generate_merges` breaks them
 * (longer left part, longer right part, then order of the vocabulary), so that ids agree with its conversion.
 * @param rank of each token; greater merges earlier
 */
export function mergesFromScores(tokens: readonly string[], rank: (id: number) => number): readonly Merge[] {
  const idOf = new Map(tokens.map((token, id) => [token, id]))
  const candidates = tokens.flatMap((token, id) => (idOf.get(token) === id ? splits(token, rank(id), idOf) : []))
  candidates.sort((a, b) => b.rank - a.rank || b.left - a.left || b.right - a.right)
  return candidates.map((candidate) => candidate.merge)
}
