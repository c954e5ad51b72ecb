import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { load } from '../library/load.ts'
import type { LLM } from '../library/types.ts'
import { createServer } from './server.ts'
import { LiveServer } from './testing/live-server.ts'

/** Where systems put a Chromium; the test downloads none. */
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = places.find((path) => existsSync(path))
const skip = executablePath === undefined && `no Chromium at ${places.join(', ')}`
/** Without these it looks for its maker's hosts at every start. */
const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const args = [...quiet, '--disable-component-update', '--disable-sync']

describe('the playground in a browser', { skip, timeout: 120_000 }, () => {
  let browser: Browser
  let llm: LLM
  before(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args })
    llm = await load()
  })
  after(async () => {
    await browser?.close()
    await llm?.close()
  })

  async function open(url: string): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(url)
    await page.waitForSelector('html[data-ready]')
    return { page, errors }
  }

  const ended = (page: Page) => page.locator('#status', { hasText: 'tokens in' }).waitFor()

  test('a chat streams an answer, and a token shows its probability', async () => {
    const app = createServer(llm, { logLevel: 'silent' })
    await app.listen({ host: '127.0.0.1', port: 0 })
    try {
      const { page, errors } = await open(`http://127.0.0.1:${(app.server.address() as { port: number }).port}/ui`)
      await page.fill('#prompt', 'What is Deep Learning?')
      await page.press('#prompt', 'Enter')
      await ended(page)
      assert.match((await page.textContent('.assistant')) ?? '', /learning/i)
      await page.hover('.assistant .token:nth-child(2)')
      assert.match((await page.textContent('#tip')) ?? '', /%\n/)
      await page.click('#completion')
      await page.fill('#prompt', 'Once upon a time')
      await page.click('#send')
      await page.waitForSelector('.assistant .token:nth-child(4)')
      assert.deepEqual(errors, [])
    } finally {
      await app.close()
    }
  })

  test('stop ends the request', async () => {
    const server = await LiveServer.start()
    try {
      const { page } = await open(server.url('/ui'))
      await page.click('#completion')
      await page.fill('#max', '50')
      await page.fill('#prompt', 'slow')
      await page.click('#send')
      await page.waitForSelector('.assistant .token')
      await page.click('#stop')
      await ended(page)
      for (let tries = 0; server.llm.running > 0; tries++) {
        assert.ok(tries < 200, 'the request goes on')
        await page.waitForTimeout(10)
      }
      assert.equal(server.llm.aborted, 1)
    } finally {
      await server.app.close()
    }
  })
})
