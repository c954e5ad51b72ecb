import type { OpName } from '../../ops/table.ts'
import { gatedActivation } from './activation.ts'
import { attention, writeKv } from './attention.ts'
import { choose } from './choose.ts'
import { encode } from './encode.ts'
import { gatedLinear, linear } from './linear.ts'
import { maskTokens } from './mask-tokens.ts'
import { addRmsNorm, rmsNorm } from './norm.ts'
import type { ReferenceOp } from './operand.ts'
import { penalize } from './penalize.ts'
import { rope, ropeTable } from './rope.ts'
import { add, embedding, selectRows } from './rows.ts'
import { topTokens } from './top-tokens.ts'
import { warp } from './warp.ts'

/** The slow twin of every op of the table. */
export const referenceOps: Readonly<Record<OpName, ReferenceOp>> = {
  embedding,
  linear,
  rmsNorm,
  addRmsNorm,
  ropeTable,
  rope,
  writeKv,
  attention,
  gatedActivation,
  add,
  selectRows,
  penalize,
  maskTokens,
  warp,
  choose,
  topTokens,
  encode,
  gatedLinear,
}
