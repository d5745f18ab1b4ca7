// Words the instants of a page: <time data-ago|data-for|data-until datetime="…"> reads "40 s ago", "40 s" or "in 40 s".
//
// Instants are the server's, and the viewer's clock may be an hour off, so ages are counted by the server's clock: the page
// brings its time (data-now on <html>, Unix milliseconds) and every beat of the stream brings it again (the signal _now).
// Text is written only when it differs, and the same moment a patch has brought new markup, so that nothing flickers.
(() => {
  const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR
  const DRIFT = 500 // less than that is the network's delay, not the clock

  // Same wording as store.Duration: the largest unit, rounded down.
  const words = ms =>
    !(ms > 0) ? '0 s'
    : ms < MINUTE ? Math.floor(ms / SECOND) + ' s'
    : ms < HOUR ? Math.floor(ms / MINUTE) + ' min'
    : ms < DAY ? Math.floor(ms / HOUR) + ' h'
    : Math.floor(ms / DAY) + ' d'

  let offset = 0 // the server's clock minus ours
  const sync = now => {
    const o = now - Date.now()
    if (now > 0 && Math.abs(o - offset) > DRIFT) offset = o
  }

  const word = (el, now) => {
    const at = Date.parse(el.dateTime)
    if (Number.isNaN(at)) return
    const text = 'ago' in el.dataset ? words(now - at) + ' ago'
      : 'until' in el.dataset ? 'in ' + words(at - now)
      : words(now - at)
    if (el.textContent !== text) el.textContent = text
  }

  const marked = 'time[data-ago],time[data-for],time[data-until]'
  const tick = () => {
    const now = Date.now() + offset
    for (const el of document.querySelectorAll(marked)) word(el, now)
    observer.takeRecords() // what we wrote ourselves needs no second look
  }
  const observer = new MutationObserver(tick)

  // The stream's beat is read where Datastar dispatches it; a patch that is not JSON is none of ours.
  document.addEventListener('datastar-fetch', evt => {
    const { type, argsRaw } = evt.detail
    if (type !== 'datastar-patch-signals') return
    try { sync(JSON.parse(argsRaw.signals)._now) } catch { /* not a beat */ }
  })

  // The absolute time, in the viewer's zone, when somebody points at an instant.
  document.addEventListener('pointerover', evt => {
    const el = evt.target.closest?.('time[datetime]')
    if (el && !el.title) el.title = new Date(el.dateTime).toLocaleString()
  })

  sync(+document.documentElement.dataset.now)
  observer.observe(document.documentElement, { childList: true, characterData: true, subtree: true })
  tick()
  setInterval(tick, SECOND)
  window.trackside = { words } // for the expressions that word the connection and the age of the data
})()
