import { UnknownError } from './errors.ts'

/** Longest event, in UTF-16 units; what is longer is no answer of ours. */
export const maxEventLength = 2 ** 24

/**
 * The data of each server-sent event of `body` (WHATWG HTML, 9.2.6): lines end in LF, CR or CRLF, comments and
 * other fields are passed over, several data lines are one text. Leaving the loop closes the connection.
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let data: string[] = []
  let length = 0
  for await (const line of readLines(body)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n')
      data = []
      length = 0
    } else if (line === 'data' || line.startsWith('data:')) {
      data.push(line.slice(line[5] === ' ' ? 6 : 5))
      length += line.length
      if (length > maxEventLength) throw new UnknownError('an event that does not end')
    }
  }
}

async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true })
    // A CR at the end may be the first half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()!
    if (rest.length > maxEventLength) throw new UnknownError('a line that does not end')
    yield* lines
  }
  // What follows the last line end is no whole line, and a CR that waited for its LF is one.
  if (rest.endsWith('\r')) yield rest.slice(0, -1)
}
