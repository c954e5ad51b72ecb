/* Common words, each of which is one token for most vocabularies of English. */
const words =
  'time people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city community name president team minute idea body information back parent face others level office door health person art war history party result change morning reason research girl guy moment air teacher force education'.split(
    ' ',
  )

/** A text of about `tokens` tokens that no other call gives: sentences of words that `random` draws. */
export function promptOf(random, tokens) {
  const text = []
  for (let i = 0; i < tokens; i++) text.push(words[Math.floor(random() * words.length)])
  return text.join(' ')
}
