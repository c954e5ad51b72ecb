import { inertOptions } from './inert-options.ts'
import {
  benchOptions,
  downloadOptions,
  generateOptions,
  hubOptions,
  modelOptions,
  type OptionRow,
  planOptions,
  serveOptions,
} from './options.ts'

const sections: readonly (readonly [string, readonly OptionRow[]])[] = [
  ['Models: `serve`, `generate`, `plan`, `bench`', modelOptions],
  ['The hub: `serve`, `generate`, `plan`, `download`', hubOptions],
  ['`serve`, `text-generation-launcher`', serveOptions],
  ["TGI's, without effect here: read, checked, and answered with the reason", inertOptions],
  ['`generate`', generateOptions],
  ['`download`', downloadOptions],
  ['`plan`', planOptions],
  ['`bench`', benchOptions],
]

/** docs/options.md: every option, from the table that the command line is made of. */
export function optionsPage(): string {
  const parts = sections.map(([title, rows]) => `## ${title}\n\n${head}${rows.map(line).join('')}`)
  return `# Options\n\nMade of the table in \`src/cli/options.ts\` by \`node scripts/generate.mjs\`. A flag comes before its variable.\n\n${parts.join('\n')}`
}

const head = '| Flag | Variable | Default | What for |\n|---|---|---|---|\n'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

function line({ flags, env, doc, fallback, choices, inert }: OptionRow): string {
  const values = choices ? `${inert ?? doc}: ${choices.join(', ')}` : (inert ?? doc)
  return `| \`${flags}\` | ${env ? `\`${env}\`` : ''} | ${fallback ?? ''} | ${cell(values)} |\n`
}
