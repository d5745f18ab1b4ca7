// The keyboard ( / j k a ? Esc; Enter opens a row because its link has the focus ), the copy buttons, and a filter that follows
// what is typed. Everything here is a convenience: the page works without it, and what needs it is hidden until it runs.
(() => {
  const TYPED = 'trackside.typed', PAUSE = 400, SAID = 1500
  const $ = sel => document.querySelector(sel)
  document.documentElement.classList.add('js')

  const links = () => [...document.querySelectorAll('[data-row]')].filter(a => a.offsetParent)
  const step = by => {
    const all = links()
    if (!all.length) return
    const at = all.findIndex(a => a === document.activeElement || a.closest('tr')?.contains(document.activeElement))
    const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))
    all[to].focus()
    all[to].scrollIntoView({ block: 'nearest' })
  }

  // act opens what can be done to the runner that has the focus, or that the page is about.
  const act = () => {
    const a = document.activeElement?.closest('tr')?.querySelector('#rows [data-act]') ?? $('.head [data-act], #filter [data-act]')
    if (a?.offsetParent) a.click()
  }

  const keys = {
    '/': () => { const q = $('#q'); q ? (q.focus(), q.select()) : location.assign('/') },
    j: () => step(1),
    k: () => step(-1),
    a: act,
    '?': () => { const d = $('#help'); d.open ? d.close() : d.showModal() },
    Escape: () => document.activeElement?.blur(),
  }
  document.addEventListener('keydown', evt => {
    if (evt.ctrlKey || evt.metaKey || evt.altKey || evt.isComposing) return
    const typing = evt.target.closest?.('input,textarea,select,[contenteditable]')
    if (typing && evt.key !== 'Escape' || $('dialog[open]') && evt.key !== '?') return
    const press = keys[evt.key]
    if (!press) return
    if (evt.key !== 'Escape') evt.preventDefault()
    press()
  })

  // A page over plain http on another host than loopback has no clipboard; the old way still works there.
  const copy = async text => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text)
    const area = document.createElement('textarea')
    area.value = text
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    if (!done) throw new Error('the browser refused')
  }
  document.addEventListener('click', async evt => {
    if (evt.target.closest?.('[data-help]')) return keys['?']()
    const button = evt.target.closest?.('[data-copy]')
    if (!button) return
    let said = 'copied'
    try { await copy(button.parentElement.querySelector('code').textContent) } catch { said = 'select and copy by hand' }
    button.textContent = said
    setTimeout(() => { button.textContent = 'copy' }, SAID)
  })

  // A typed filter navigates after a pause, without filling the history, and the new page goes on where the typing was.
  const form = $('#filter'), box = $('#q')
  if (!form || !box) return
  let timer
  box.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, v]) => v.trim() !== ''))
      sessionStorage.setItem(TYPED, String(box.selectionStart))
      const search = query.toString()
      location.replace(form.action + (search && '?' + search))
    }, PAUSE)
  })
  form.addEventListener('submit', () => clearTimeout(timer))
  const typed = sessionStorage.getItem(TYPED)
  sessionStorage.removeItem(TYPED)
  if (typed !== null) {
    box.focus()
    box.setSelectionRange(+typed, +typed)
  }
})()
