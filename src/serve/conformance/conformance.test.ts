import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { bodyCases } from './bodies.ts'
import { type Case, check, type Facts } from './cases.ts'
import { nativeCases, nativeDeviations } from './native.ts'
import { openaiCases, openaiDeviations } from './openai.ts'
import { smallCases } from './small.ts'
import { openTarget, type Target } from './target.ts'
import { validationCases } from './validation.ts'

/** Rows at one time; fewer than a server takes. */
const AT_ONCE = 8

let target: Target
before(async () => {
  target = await openTarget()
})
after(() => target.close())

/** Holds every row against the server and tells all that fail, each with its own words. */
async function hold(table: (facts: Facts) => readonly Case[]): Promise<void> {
  const rows = table(target.facts).filter(({ ours }) => target.ours || !ours)
  const failures: string[] = []
  const left = [...rows]
  const work = async () => {
    for (let row = left.shift(); row; row = left.shift()) {
      await check(target.base, row).catch((error: Error) => failures.push(`${row?.what}: ${error.message}`))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  assert.ok(rows.length > 0)
  assert.equal(failures.length, 0, `${failures.length} of ${rows.length} rows fail:\n${failures.join('\n')}`)
}

test('bodies that are refused before they are requests', () => hold(() => bodyCases))
test('what is checked of a request, and the words it is refused in', () => hold(validationCases))
test('native answers: shapes, defaults, headers, frames', () => hold(nativeCases))
test('OpenAI answers: shapes, defaults, headers, frames', () => hold(openaiCases))
test('small routes, methods, origins, adapters of clouds', () => hold(smallCases))
test(
  'what TGI refuses only by defect',
  { skip: process.env['LOQUENT_CONFORMANCE_URL'] ? 'not the server named' : false },
  () => hold(() => [...nativeDeviations, ...openaiDeviations]),
)
