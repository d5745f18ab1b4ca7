// Keeps rows from jumping under the pointer or the focus.
//
// A patch that inserts, removes or moves rows is held while the mouse is over the list or the focus is inside it, and applied,
// in order, when both have left. A patch of a row in place is never held, so what a row says is always true: even the content
// of a held move is shown at once in the row's old place, and a row that is to go is marked as gone. A full frame, which comes with
// each connection, is shown at once as well, but for the order of its rows.
//
// It works by hearing Datastar's own event, "datastar-fetch", before Datastar does (this script stands before its module),
// stopping it, and dispatching it again later, marked as held so that it is not taken for a sign of life of the stream.
(() => {
  const EVENT = 'datastar-fetch', PATCH = 'datastar-patch-elements'
  const LIST = 'rows', PAGE = 'page', CHIP = 'held'

  let over = false // the mouse is over the list, and has moved there
  let queue = []   // details of held events, in order
  let whole = false // a held event is about the whole list
  const rows = new Set() // ids of the rows that held events are about

  const list = () => document.getElementById(LIST)
  const busy = () => (over && !document.hidden) || !!list()?.contains(document.activeElement)

  const parse = html => {
    const t = document.createElement('template')
    t.innerHTML = html ?? ''
    return [...t.content.children]
  }
  const rowsOf = els => els.flatMap(el => el.localName === 'tr' ? [el] : el.id === LIST ? [...el.children] : [])

  // structural: it changes which rows there are or their order, rather than what one says.
  const structural = ({ mode = 'outer', selector, elements = '' }) => {
    if (mode === 'outer') return selector ? selector === '#' + LIST : elements.trimStart().startsWith('<tbody')
    const l = list()
    if (!l || !selector) return false
    return [...document.querySelectorAll(selector)].some(t => l.contains(t)) || elements.trimStart().startsWith('<tr') ||
      selector.split(',').some(s => rows.has(s.trim().slice(1)))
  }

  const send = (detail, argsRaw = detail.argsRaw) =>
    document.dispatchEvent(new CustomEvent(EVENT, { detail: { ...detail, argsRaw, held: true } }))

  // inPlace shows now what a held patch says about rows that are there.
  const inPlace = (detail, els) => {
    const here = els.filter(el => el.id && document.getElementById(el.id))
    if (here.length) send(detail, { elements: here.map(el => el.outerHTML).join('') })
  }

  const hold = detail => {
    const { mode, selector, elements } = detail.argsRaw
    const els = rowsOf(parse(elements))
    queue.push(detail)
    for (const el of els) rows.add(el.id)
    if (mode === 'remove') {
      for (const el of document.querySelectorAll(selector)) {
        rows.add(el.id)
        el.classList.add('gone')
      }
    } else inPlace(detail, els)
    tell()
  }

  const drop = () => {
    queue = []
    rows.clear()
    whole = false
  }

  // holdFrame shows a full frame with the rows that are there in the order they have, and holds the list as it is to be.
  const holdFrame = detail => {
    const t = document.createElement('template')
    t.innerHTML = detail.argsRaw.elements
    const next = t.content.getElementById(LIST), old = [...(list()?.children ?? [])]
    if (!next || [...next.children].map(r => r.id).join() === old.map(r => r.id).join()) return false
    queue = [{ ...detail, argsRaw: { elements: next.outerHTML } }]
    whole = true
    const fresh = new Map([...next.children].map(r => [r.id, r]))
    next.replaceChildren(...old.map(r => {
      const same = fresh.get(r.id) ?? r.cloneNode(true)
      if (!fresh.has(r.id)) same.classList.add('gone')
      return same
    }))
    send(detail, { ...detail.argsRaw, elements: t.innerHTML })
    tell()
    return true
  }

  const tell = () => {
    const chip = document.getElementById(CHIP)
    if (!chip) return
    const n = rows.size
    const what = whole ? 'Rows' : n === 1 ? '1 row' : `${n} rows`
    chip.hidden = queue.length === 0
    chip.textContent = chip.hidden ? '' : `${what} will move when the ${over ? 'pointer' : 'focus'} leaves`
  }

  // The line above the list would move it: while somebody is in the list it leaves its room behind, or waits to come.
  const KEPT = 'calm-kept', WAITS = 'calm-waits', root = document.documentElement.classList
  const steady = html => {
    const next = /<p id="calm">([^<]*)/.exec(html)
    if (!next || !busy() || root.contains(KEPT) || root.contains(WAITS)) return
    const said = !!document.getElementById('calm')?.textContent
    if (said !== !!next[1]) root.add(said ? KEPT : WAITS)
  }

  const release = () => {
    if (busy()) return
    root.remove(KEPT, WAITS)
    if (queue.length === 0) return
    const held = queue
    drop()
    for (const detail of held) send(detail)
    tell()
  }

  document.addEventListener(EVENT, evt => {
    const { type, argsRaw, held } = evt.detail
    if (type !== PATCH || held) return
    const html = argsRaw.elements ?? ''
    steady(html)
    if (html.includes(`<div id="${PAGE}"`)) { // a full frame: whatever was held is older than it
      drop()
      if (busy() && holdFrame(evt.detail)) evt.stopImmediatePropagation()
      else tell()
      return
    }
    if (structural(argsRaw)) {
      if (queue.length === 0 && !busy()) return
      evt.stopImmediatePropagation()
      hold(evt.detail)
      return
    }
    if (queue.length === 0 || !html.includes('<tr')) return
    const els = rowsOf(parse(html))
    if (!whole && !els.some(el => rows.has(el.id))) return
    evt.stopImmediatePropagation() // newer than a held insertion of the same row: it has to follow it
    queue.push(evt.detail)
    inPlace(evt.detail, els)
  }, true)

  const point = evt => {
    if (evt.pointerType !== 'mouse') return
    const now = !!evt.target.closest?.('#' + LIST)
    if (now === over) return
    over = now
    tell()
    release()
  }
  document.addEventListener('pointermove', point, { passive: true })
  document.documentElement.addEventListener('pointerleave', () => { over = false; release() })
  document.addEventListener('focusout', () => setTimeout(() => { tell(); release() })) // by then the focus is where it goes
  document.addEventListener('visibilitychange', release)
})()
