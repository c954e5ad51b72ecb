import { openParentPort, receiveOptions } from '../child-port.ts'
import { serveEngine } from '../engine-port.ts'
import { faultyPort } from './faulty-port.ts'

/* An engine process with a fault in its native code: a segmentation fault at prompts that begin with 13. */
const deaths = new Map([[13, () => process.kill(process.pid, 'SIGSEGV')]])
await serveEngine(faultyPort(openParentPort(), deaths), await receiveOptions())
