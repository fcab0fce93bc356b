// A reviewer's hands stay on the keyboard: one key decides, digits go to the best pictures, boxes lie over the film.
const NEAR_S = 0.6

const page = document.querySelector('[data-review]')
const film = page.querySelector('video')
const frames = [...page.querySelectorAll('[data-frame]')]

const goTo = (seconds) => {
  film.pause()
  film.currentTime = seconds
}
const showBoxes = () => {
  for (const frame of frames) {
    frame.toggleAttribute('hidden', Math.abs(film.currentTime - Number(frame.dataset.frame)) > NEAR_S)
  }
}
const keys = {
  ' ': () => (film.paused ? film.play() : film.pause()),
  ArrowLeft: () => goTo(Math.max(0, film.currentTime - 1)),
  ArrowRight: () => goTo(film.currentTime + 1),
}

film.ontimeupdate = showBoxes
film.onseeked = showBoxes
for (const place of page.querySelectorAll('[data-at]')) {
  place.onclick = () => goTo(Number(place.dataset.at))
}
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches('input, textarea')) return
  if (event.key === ' ' && event.target.matches('button, a')) return
  const asked = page.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`)
  const frame = frames[Number(event.key) - 1]
  const act = keys[event.key] ?? (frame && (() => goTo(Number(frame.dataset.frame)))) ?? (asked && (() => asked.click()))
  if (!act || (event.repeat && asked)) return
  event.preventDefault()
  act()
})
showBoxes()
