import { freemem } from 'node:os'

/** Bytes that may still be taken, with the limits of a container where this Node knows them. */
export const availableMemory = (): number => process.availableMemory?.() ?? freemem()
