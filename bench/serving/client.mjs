import http from 'node:http'

/** How each server is asked for a stream, and what an event of it says. */
const dialects = {
  tgi: {
    path: '/generate_stream',
    body: ({ prompt, maxTokens, sampling }) => ({
      inputs: prompt,
      parameters: { max_new_tokens: maxTokens, details: true, ...sampling },
    }),
    read: ({ token, generated_text, details, error }) => ({
      error,
      isToken: token !== undefined,
      text: generated_text,
      inputTokens: details?.input_length,
    }),
  },
  llama: {
    path: '/completion',
    body: ({ prompt, maxTokens, sampling }) => ({
      prompt,
      n_predict: maxTokens,
      stream: true,
      cache_prompt: true,
      ...(sampling ? { temperature: sampling.temperature, seed: sampling.seed } : { temperature: 0 }),
    }),
    read: ({ stop, content, error, tokens_evaluated }) => ({
      error: error?.message,
      isToken: error === undefined && stop !== true,
      text: stop ? content : undefined,
      inputTokens: tokens_evaluated,
    }),
  },
}

const agent = new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/** Longest time a request may take in all. */
const deadlineMs = 300_000

/**
 * One request to `server`, read as it comes. Resolves with when it was sent, when each token came, and how it ended:
 * `completed`, `refused` (429), `left` (after `leaveAfterMs`), `cut` (by `signal`), or `failed` with a reason. `onToken` hears
 * of each token.
 */
export function stream(server, { leaveAfterMs, signal, ...request }) {
  const dialect = dialects[server.dialect]
  const result = { start: performance.now(), tokens: [], outcome: 'failed', reason: 'closed before its end' }
  return new Promise((resolve) => {
    const body = JSON.stringify(dialect.body(request))
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = http.request(server.origin + dialect.path, { method: 'POST', headers, agent })
    const leave = (outcome, reason) => () => {
      Object.assign(result, { outcome, reason })
      sent.destroy()
    }
    const timers = [setTimeout(leave('failed', 'too late'), deadlineMs)]
    if (leaveAfterMs !== undefined) timers.push(setTimeout(leave('left'), leaveAfterMs))
    signal?.addEventListener('abort', leave('cut'), { once: true })
    sent.on('error', (error) => {
      if (result.outcome === 'failed' && result.reason !== 'too late') result.reason = error.message
    })
    sent.on('close', () => {
      for (const timer of timers) clearTimeout(timer)
      resolve({ ...result, end: performance.now() })
    })
    sent.on('response', (response) => receive(response, dialect, result, request.onToken))
    sent.end(body)
  })
}

function receive(response, dialect, result, onToken) {
  result.retryAfter = response.headers['retry-after']
  if (response.statusCode !== 200) {
    const outcome = response.statusCode === 429 ? 'refused' : 'failed'
    Object.assign(result, { outcome, reason: `status ${response.statusCode}` })
    response.resume()
    return
  }
  let rest = ''
  response.setEncoding('utf8')
  response.on('data', (text) => {
    const now = performance.now()
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    const before = result.tokens.length
    for (const line of lines) if (line.startsWith('data: {')) take(dialect.read(JSON.parse(line.slice(6))), now, result)
    if (result.tokens.length > before) onToken?.(result)
  })
}

/** An event that came `now`. */
function take({ error, isToken, text, inputTokens }, now, result) {
  if (error !== undefined) {
    const outcome = /overloaded/.test(error) ? 'refused' : 'failed'
    Object.assign(result, { outcome, reason: error })
    return
  }
  if (isToken) result.tokens.push(now)
  if (typeof text === 'string') Object.assign(result, { outcome: 'completed', reason: undefined, text, inputTokens })
}
