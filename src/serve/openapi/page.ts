/** A page that shows the OpenAPI document: nothing of it comes from elsewhere. */
export const docsPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loquent API</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --soft: #888; --accent: #2563eb }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  h1 { margin-bottom: 0 } h2 { margin-top: 2rem; font-size: 1.1rem }
  details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem }
  summary { cursor: pointer } code, pre { font: 13px/1.5 ui-monospace, monospace }
  pre { overflow: auto; background: #8881; padding: .6rem; border-radius: 4px }
  .method { display: inline-block; width: 3.2rem; font-weight: 600; color: var(--accent) }
  .soft { color: var(--soft) } table { border-collapse: collapse; width: 100% }
  td { border-top: 1px solid var(--line); padding: .25rem .6rem .25rem 0; vertical-align: top }
</style>
<h1>Loquent</h1>
<p class="soft" id="about">Reading <a href="../api-doc/openapi.json">openapi.json</a>.</p>
<main></main>
<script>
const el = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children); return e }
const nameOf = (s) => {
  if (!s) return 'any'
  if (s.$ref) return s.$ref.split('/').pop()
  if (s.allOf) return nameOf(s.allOf[0])
  if (s.anyOf || s.oneOf) return (s.anyOf || s.oneOf).map(nameOf).join(' or ')
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(' | ')
  if (s.type === 'array') return nameOf(s.items) + '[]'
  return s.format || s.type || 'any'
}
const fields = (schema) => {
  const rows = Object.entries(schema.properties || {}).map(([name, s]) => el('tr', {},
    el('td', {}, el('code', { textContent: name }), (schema.required || []).includes(name) ? ' *' : ''),
    el('td', { className: 'soft', textContent: nameOf(s) + (s.nullable ? ' or null' : '') }),
    el('td', { textContent: s.description || '' })))
  if (rows.length) return el('table', {}, ...rows)
  return el('p', { className: 'soft', textContent: nameOf(schema) })
}
const schemaView = (title, s) => el('details', {}, el('summary', {}, el('code', { textContent: title })), fields(s))
const operation = (path, method, o) => {
  const body = o.requestBody?.content['application/json'].schema
  const answers = Object.entries(o.responses).map(([status, r]) => el('tr', {},
    el('td', {}, el('code', { textContent: status })), el('td', { textContent: r.description }),
    el('td', { className: 'soft', textContent: Object.entries(r.content || {}).map(([t, c]) => t + ': ' + nameOf(c.schema)).join(', ') })))
  return el('details', {}, el('summary', {}, el('span', { className: 'method', textContent: method.toUpperCase() }),
    el('code', { textContent: path }), el('span', { className: 'soft', textContent: '  ' + o.summary })),
    body ? el('p', {}, 'Body: ', el('code', { textContent: nameOf(body) })) : '', el('table', {}, ...answers))
}
fetch('../api-doc/openapi.json').then((r) => r.json()).then((doc) => {
  document.getElementById('about').append(' ' + doc.info.description + ' Version ' + doc.info.version + '.')
  const main = document.querySelector('main')
  for (const { name } of doc.tags) {
    main.append(el('h2', { textContent: name }))
    for (const [path, methods] of Object.entries(doc.paths))
      for (const [method, o] of Object.entries(methods)) if (o.tags.includes(name)) main.append(operation(path, method, o))
  }
  main.append(el('h2', { textContent: 'Schemas' }))
  for (const [title, s] of Object.entries(doc.components.schemas)) main.append(schemaView(title, s))
})
</script>
`
