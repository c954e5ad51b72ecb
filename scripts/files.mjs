import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** All files below `folder` whose name ends with `suffix`, sorted. */
export function filesUnder(folder, suffix) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}
