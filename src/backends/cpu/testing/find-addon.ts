import { LoquentError } from '../../../base/errors.ts'
import { type Addon, loadAddon } from '../addon.ts'

/** The addon, or the reason why tests that need it are skipped: a machine without a C++ compiler has none. */
export function findAddon(): { readonly addon?: Addon; readonly skip: string | false } {
  try {
    return { addon: loadAddon(), skip: false }
  } catch (error) {
    if (error instanceof LoquentError && error.code === 'backend.unavailable')
      return { skip: `not run: ${error.message}` }
    throw error
  }
}
