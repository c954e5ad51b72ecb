import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { LiveServer, until } from '../serve/testing/live-server.ts'

/** Where systems put a Chromium; the test downloads none. */
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = places.find((path) => existsSync(path))
const built = import.meta.url.endsWith('.js')
const skip = !built
  ? 'browsers run built files only'
  : executablePath === undefined && `no Chromium at ${places.join(', ')}`
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

describe('the client in a browser', { skip, timeout: 120_000 }, () => {
  let live: LiveServer
  let files: Server
  let browser: Browser
  let page: Page
  before(async () => {
    live = await LiveServer.start()
    files = createServer((request, response) => {
      if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>')
      const path = new URL(`.${request.url}`, import.meta.url)
      if (!existsSync(path)) return response.writeHead(404).end()
      return response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(path))
    })
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
    browser = await chromium.launch({ executablePath: executablePath!, args: [...args] })
    page = await browser.newPage()
    // Another origin than the server's, as a web page has.
    await page.goto(`http://127.0.0.1:${(files.address() as AddressInfo).port}/`)
  })
  after(async () => {
    await browser?.close()
    files?.close()
    await live?.close()
  })

  /** Runs the body of an async function in the page, with `client` and the module `m`. */
  const run = (body: string): Promise<unknown> =>
    page.evaluate(
      `import('/index.js').then(async (m) => { const client = new m.Client('${live.url('')}', { retries: 0 }); ${body} })`,
    )

  test('whole answers, streams and errors', async () => {
    assert.equal(await run(`return (await client.generate('a', { max_new_tokens: 3 })).generated_text`), 'w1 w2 w3')
    const seed = `return String((await client.generate('a', { details: true, seed: 2n ** 64n - 1n, do_sample: true })).details.seed)`
    assert.equal(await run(seed), '18446744073709551615')
    const stream = `let t = ''; for await (const e of client.generateStream('a', { max_new_tokens: 3 })) t += e.token.text; return t`
    assert.equal(await run(stream), 'w1 w2 w3')
    const chat = `let t = ''; for await (const c of client.chatStream({ messages: [{ role: 'user', content: 'a' }], max_tokens: 3 }))
      t += c.choices[0]?.delta.content ?? ''; return t`
    assert.equal(await run(chat), 'w1 w2 w3')
    const error = `try { await client.generate('fail') } catch (e) { return [e instanceof m.GenerationError, e.name, e.status] }`
    assert.deepEqual(await run(error), [true, 'GenerationError', 424])
  })

  test('a stream that is left ends the generation', async () => {
    await run(`for await (const _ of client.generateStream('endless')) break`)
    await until(() => live.llm.running === 0, 'the generation ended')
  })
})
