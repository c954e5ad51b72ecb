/** One server-sent event of one line of JSON; clients in use depend on the space. */
export const eventFrame = (json: string): string => `data: ${json}\n\n`

/** A comment, which clients skip: shows the connection is alive while nothing else is sent. */
export const KEEP_ALIVE_FRAME = ':\n\n'
