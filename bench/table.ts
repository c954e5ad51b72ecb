/** Prints rows under a header, numbers to the right. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((h, i) => Math.max(h.length, ...rows.map((r) => (r[i] ?? '').length)))
  const numeric = header.map((_, i) => rows.every((r) => /^[-+\d.]*\s?[%x]?$/.test(r[i] ?? '')))
  const line = (cells: readonly string[]) =>
    cells
      .map((c, i) => (numeric[i] ? c.padStart(widths[i]!) : c.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  for (const row of [header, widths.map((w) => '-'.repeat(w)), ...rows]) console.log(line(row))
}

/** A number with as many digits as somebody can use. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-'
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** A share in whole percent. */
export const percent = (share: number): string => (Number.isFinite(share) ? `${(100 * share).toFixed(0)}%` : '-')
