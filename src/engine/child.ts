import { openParentPort, receiveOptions } from './child-port.ts'
import { serveEngine } from './engine-port.ts'

/* Entry of the engine's process; see child-host.ts. */
const port = openParentPort()
await serveEngine(port, await receiveOptions())
