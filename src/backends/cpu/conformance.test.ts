import { conformance } from '../conformance/conformance.ts'
import { loadAddon } from './addon.ts'
import { openCpuBackend } from './backend.ts'

// Every instruction set that this processor has, and more threads than pieces of work.
for (const isa of loadAddon().info().isas) {
  const open = () => openCpuBackend({ isa, threads: 3 })
  conformance(`cpu, ${isa}`, open, { converts: true, formats: ['f32', 'f16', 'bf16', 'q8_0'] })
}
