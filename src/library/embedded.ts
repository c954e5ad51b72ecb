import { fileURLToPath } from 'node:url'

/** The model that comes with the package: tiny, trained by this project, for first runs, demos and tests. */
export const embeddedModel = fileURLToPath(new URL('../../models/loquent-tiny', import.meta.url))
