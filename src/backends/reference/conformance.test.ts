import { conformance } from '../conformance/conformance.ts'
import { openReferenceBackend } from './backend.ts'

// Against itself this proves the suite, the same-bytes law, and attention by its definition.
conformance('the reference', openReferenceBackend, { trials: 4 })
