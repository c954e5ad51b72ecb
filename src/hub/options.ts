import { homedir } from 'node:os'
import { join } from 'node:path'

export interface HubProgress {
  /** The file that just moved, and how far it is. */
  readonly file: string
  readonly fileReceived: number
  readonly fileBytes: number
  /** Over all files of the download; what was there already counts as received. */
  readonly received: number
  readonly bytes: number
  readonly filesDone: number
  readonly files: number
}

export interface HubOptions {
  /** Branch, tag, pull request (`refs/pr/1`) or commit; default `main`. */
  readonly revision?: string
  /** Access token, for private and gated models. It is sent to the endpoint only, never to where it redirects. */
  readonly token?: string
  /** Folder of the cache, shared with `huggingface_hub`; default `~/.cache/huggingface/hub`. */
  readonly cacheDir?: string
  /** A mirror; default `https://huggingface.co`. */
  readonly endpoint?: string
  /** Use the cache and no network. */
  readonly offline?: boolean
  /** Take these files (`*` matches any run of characters, `/` too) instead of the usual choice. */
  readonly include?: readonly string[]
  /** Leave these files out. */
  readonly exclude?: readonly string[]
  readonly onProgress?: (progress: HubProgress) => void
  /** Something to tell the user: an old copy is used because the hub does not answer. */
  readonly onNotice?: (notice: string) => void
  readonly signal?: AbortSignal
  readonly patience?: Partial<Patience>
}

/** How long we bear with a network that fails. */
export interface Patience {
  /** Attempts in a row without a byte of progress. */
  readonly tries: number
  /** Wait before the second attempt; doubles up to `maxWaitMs`. A server's Retry-After is followed up to there. */
  readonly firstWaitMs: number
  readonly maxWaitMs: number
  /** A connection that brings nothing for so long is cut. */
  readonly idleMs: number
}

export const defaultPatience: Patience = { tries: 5, firstWaitMs: 500, maxWaitMs: 30_000, idleMs: 30_000 }

export const defaultEndpoint = 'https://huggingface.co'
export const defaultCacheDir = (): string => join(homedir(), '.cache', 'huggingface', 'hub')

/** Files downloaded at the same time. */
export const maxParallelFiles = 4
/** Most files a model may list, and the most bytes that one page of its list may have. */
export const maxFiles = 10_000
export const maxListBytes = 2 ** 24
/** Attempts at one file in all, progress or not: a server that gives a byte at a time does not hold us for ever. */
export const maxAttempts = 200
export const maxRedirects = 8
