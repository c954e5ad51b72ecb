import { downloadModel } from '../library/index.ts'
import { type HubFlags, hubSettings } from './hub-settings.ts'

/** Values of `hubOptions` and `downloadOptions`. */
interface DownloadFlags extends HubFlags {
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
}

/** `loquent download org/name`: brings a model into the cache; its folder on stdout, everything else on stderr. */
export async function download(model: string, flags: DownloadFlags): Promise<void> {
  const { include, exclude, ...hub } = flags
  const abort = new AbortController()
  process.once('SIGINT', () => abort.abort())
  const choice = { ...(include && { include }), ...(exclude && { exclude }) }
  const { path } = await downloadModel(model, { ...hubSettings(hub), ...choice, signal: abort.signal })
  process.stdout.write(`${path}\n`)
}
