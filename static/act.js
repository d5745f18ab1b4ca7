// Opens actions in a dialog over the page: a link marked data-act is fetched by Datastar, and its answer is patched into #deed. Without this
// script, or without Datastar, such a link opens the same content as a page.
(() => {
  const dialog = document.getElementById('act')
  if (!dialog) return
  const EVENT = 'datastar-fetch'
  const deed = () => document.getElementById('deed')
  let opener // the link that the focus goes back to

  // A patch of the page may have made the link anew meanwhile.
  const found = a => a?.isConnected ? a : [...document.querySelectorAll('#page [data-act]')].find(x => x.getAttribute('href') === a?.getAttribute('href'))

  // Datastar says at once that it has started; when it does not, it is not there.
  const ask = a => {
    let started = false
    const hear = evt => { started ||= evt.detail.el === dialog && evt.detail.type === 'started' }
    document.addEventListener(EVENT, hear)
    dialog.dispatchEvent(new CustomEvent('trackside-act', { detail: a.href }))
    document.removeEventListener(EVENT, hear)
    if (!started) location.assign(a.href)
  }

  document.addEventListener('click', evt => {
    const a = evt.target.closest?.('a')
    if (!a || evt.button || evt.ctrlKey || evt.metaKey || evt.shiftKey || evt.altKey) return
    if (dialog.contains(a) && 'close' in a.dataset) {
      evt.preventDefault()
      dialog.close()
    } else if ('act' in a.dataset) {
      evt.preventDefault()
      if (!dialog.contains(a)) opener = a
      ask(a)
    }
  })

  const first = () => deed().querySelector('[autofocus]') ?? deed().querySelector('input:not([type=hidden]), select, button:not(:disabled), a')
  // say writes only what differs: every change of the dialog is heard below.
  const say = (form, which, text) => {
    for (const el of form.querySelectorAll(which)) if (el.textContent !== text) el.textContent = text
  }
  const count = form => {
    const n = form.querySelectorAll('[name=ref]:checked').length
    say(form, '[data-chosen]', String(n))
    say(form, '[data-chosen-words]', n === 1 ? '1 runner' : `${n} runners`)
  }
  const recount = () => document.querySelectorAll('form[data-bulk]').forEach(count)

  new MutationObserver(() => {
    const d = deed()
    if (!d?.firstElementChild) return
    recount()
    if (!dialog.open) dialog.showModal()
    if (!d.contains(document.activeElement)) first()?.focus()
  }).observe(dialog, { childList: true, subtree: true })
  document.addEventListener('change', evt => { if (evt.target.name === 'ref') recount() })
  recount()

  dialog.addEventListener('close', () => {
    deed().replaceChildren()
    found(opener)?.focus()
  })
  dialog.addEventListener('click', evt => { if (evt.target === dialog) dialog.close() })

  // What Datastar cannot show: an answer that is not 200, or none. Nothing that was typed is lost.
  document.addEventListener(EVENT, evt => {
    const { el, type, argsRaw } = evt.detail
    if (!dialog.contains(el) || type !== 'error' && type !== 'retries-failed') return
    const said = type === 'error' ? `The board refused this (${argsRaw?.status ?? 'no status'}).` : 'The board does not answer. Nothing is lost: try again.'
    const p = deed().querySelector('.problem')
    if (p) {
      p.textContent = said
      p.hidden = false
      p.scrollIntoView({ block: 'nearest' })
    }
  })
})()
