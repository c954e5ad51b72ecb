// Checks floors.json: a folder of src imports lower floors only, and only `cli` reads the command line and environment.
import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { filesUnder } from './files.mjs'

const importPattern = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g

/** Returns one line per broken rule. Tests may look anywhere below `serve`; they are not part of the house. */
export function brokenFloors(root) {
  const { floors, only, sameFloor, readsProcess, tests } = JSON.parse(readFileSync(join(root, 'floors.json'), 'utf8'))
  const floorOf = new Map(floors.flatMap((folders, floor) => folders.map((folder) => [folder, floor])))
  const src = join(root, 'src')
  const broken = []
  for (const file of filesUnder(src, '.ts')) {
    if (tests.some((part) => file.includes(part))) continue
    const folder = relative(src, file).split('/')[0]
    const text = readFileSync(file, 'utf8')
    const say = (rule) => broken.push(`${relative(root, file)}: ${rule}`)
    if (!floorOf.has(folder) && !only[folder]) say(`folder ${folder} stands on no floor`)
    if (/\bprocess\.(env|argv)\b/.test(text) && !readsProcess.includes(folder))
      say('only cli reads process.env and process.argv')
    for (const [, specifier] of text.matchAll(importPattern)) {
      const target = relative(src, resolve(dirname(file), specifier)).split('/')[0]
      if (target === folder) continue
      const allowed = only[folder]
        ? only[folder].includes(target)
        : floorOf.get(target) < floorOf.get(folder) || (sameFloor[folder] ?? []).includes(target)
      if (!allowed) say(`imports ${target}, which is not below ${folder}`)
    }
  }
  return broken
}
