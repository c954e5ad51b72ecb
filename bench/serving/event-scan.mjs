/** What every event of a stream holds but the last. */
export const tgiMore = '"generated_text":null'
export const llamaMore = '"stop":false'

/** The end of an event whose data is an object; comments and `[DONE]` end otherwise, and JSON holds no line feed. */
const eventEnd = Buffer.from('}\n\n')
const begin = 'data: '

/**
 * Counts the events of a chunked response by their bytes, wherever reads cut it. Each event must be whole in a chunk, as
 * servers write them.
 */
export class EventScan {
  /** JSON of the first event without `more`, once it is there. */
  last
  #more
  /** The event that the last read cut. */
  #rest

  constructor(more) {
    this.#more = Buffer.from(more)
  }

  /** How many events end in these bytes; they are not kept. */
  take(read) {
    const bytes = this.#rest ? Buffer.concat([this.#rest, read]) : read
    let events = 0
    let from = 0
    for (let end = bytes.indexOf(eventEnd); end >= 0; end = bytes.indexOf(eventEnd, from)) {
      events++
      const more = bytes.indexOf(this.#more, from)
      if (this.last === undefined && (more < 0 || more > end)) this.last = jsonOf(bytes.utf8Slice(from, end + 1))
      from = end + eventEnd.length
    }
    // Mostly nothing but the line break that ends a chunk.
    const isBreak = bytes.length - from === 2 && bytes[from] === 13 && bytes[from + 1] === 10
    this.#rest = bytes.length > from && !isBreak ? Buffer.from(bytes.subarray(from)) : undefined
    return events
  }
}

const jsonOf = (event) => event.slice(event.indexOf(begin) + begin.length)
