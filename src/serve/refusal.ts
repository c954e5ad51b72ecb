/** A refusal with a status and words of its own, where the table of errors has none that fit. */
export class Refusal extends Error {
  readonly status: number
  readonly type: string

  constructor(status: number, type: string, message: string) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.type = type
  }
}

export const toolRefusal = (reason: string): Refusal => new Refusal(422, 'tool_error', `Tool error: ${reason}`)
