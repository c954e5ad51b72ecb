/** Entries of one range at most. */
const mostEntries = 1024

/** Numbers and ranges as Linux writes sets of processors and nodes: `0,2-3`. Undefined for anything else. */
export function indexList(text: string): number[] | undefined {
  const all: number[] = []
  for (const part of text.split(',')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    const count = Number(last) - Number(first) + 1
    if (!(count > 0 && count <= mostEntries)) return undefined
    for (let i = 0; i < count; i++) all.push(Number(first) + i)
  }
  return all
}
