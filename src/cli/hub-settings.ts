import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { HubOptions } from '../library/index.ts'
import { showDownload } from './download-progress.ts'

/** Values of `hubOptions`. */
export interface HubFlags {
  readonly revision?: string
  readonly huggingfaceHubCache?: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * How to reach the hub, from flags and from the variables that every Hugging Face tool knows: HF_ENDPOINT, HF_TOKEN (or the
 * token that `hf auth login` left), HF_HUB_OFFLINE, and HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME for the cache.
 */
export function hubSettings({ revision, huggingfaceHubCache }: HubFlags, env: Environment = process.env): HubOptions {
  const home = env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface')
  const token = tokenOf(env, home)
  const endpoint = env['HF_ENDPOINT']
  return {
    cacheDir: huggingfaceHubCache || env['HF_HUB_CACHE'] || join(home, 'hub'),
    offline: isOn(env['HF_HUB_OFFLINE']),
    ...(revision && { revision }),
    ...(token && { token }),
    ...(endpoint && { endpoint }),
    onProgress: showDownload(process.stderr),
    onNotice: (notice) => process.stderr.write(`loquent: ${notice}\n`),
  }
}

const isOn = (value: string | undefined) => /^(1|on|true|yes)$/i.test(value ?? '')

function tokenOf(env: Environment, home: string): string | undefined {
  const given = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'] || env['HF_API_TOKEN']
  if (given || isOn(env['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return given?.trim()
  try {
    return readFileSync(env['HF_TOKEN_PATH'] || join(home, 'token'), 'utf8').trim()
  } catch {
    return undefined
  }
}
