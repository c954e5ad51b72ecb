import { fail } from '../base/errors.ts'

const segment = /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?$/
/** Longest id the hub gives out. */
const maxIdLength = 96
/** Files of weights are paths even where they do not exist. */
const weightFile = /\.(gguf|safetensors|bin|pt|json)$/i

/** Whether `text` could be the id of a model on the hub: `name` or `organisation/name`. It says nothing about paths. */
export function isModelId(text: string): boolean {
  const parts = text.split('/')
  if (text.length > maxIdLength || parts.length > 2 || weightFile.test(text) || text.endsWith('.git')) return false
  return parts.every((part) => segment.test(part) && !part.includes('--') && !part.includes('..'))
}

/** Throws `option.invalid` for what cannot be a branch, tag, pull request (`refs/pr/1`) or commit. */
export function checkRevision(revision: string): string {
  const parts = revision.split('/')
  const good = revision.length <= 255 && parts.every((part) => /^[\w.+-]+$/.test(part) && !/^\.+$/.test(part))
  return good
    ? revision
    : fail('option.invalid', { name: 'revision', reason: `"${revision}" is no name of a revision` })
}

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision)

/** Whether `path` stays inside the folder it is joined to, on every system. */
export function isSafePath(path: string): boolean {
  return (
    path.length <= 1024 && !/[\\\0:]/.test(path) && path.split('/').every((part) => part !== '' && !/^\.+$/.test(part))
  )
}
