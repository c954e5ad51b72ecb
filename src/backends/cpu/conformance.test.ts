import { conformance } from '../conformance/conformance.ts'
import { openCpuBackend } from './backend.ts'

conformance('cpu', openCpuBackend)
