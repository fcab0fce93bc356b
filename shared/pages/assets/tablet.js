// What every page of a tablet does: keep itself for when the box is away, send what was recorded, follow what changes.

import { follow, refresh } from './live.js'
import { work } from './queue.js'
import { show } from './show.js'

const TICK_MS = 30_000

const page = document.body.dataset
const { home = '', after } = page
const part = (name) => document.querySelector(`[data-${name}]`)

navigator.serviceWorker?.register('/service-worker.js')

let link = 'here'
let queue = ''
const tell = () => show(part('net'), link === 'signed-out' ? link : link === 'away' ? 'offline' : queue)

// A new tablet has seen the list before anything could keep it.
async function keepList() {
  await navigator.serviceWorker.ready
  const list = `${home}/animals`
  if (await caches.match(list, { ignoreVary: true })) return
  const answer = await fetch(list)
  if (answer.ok && !answer.redirected) await (await caches.open('pages')).put(list, answer)
}

if (after !== undefined) {
  if (navigator.serviceWorker) keepList().catch(() => {}) // the box went away: the next page tries again
  navigator.storage.persist?.()
  work((state, count) => {
    queue = state
    part('net-count').textContent = count
    tell()
  })
  follow(home, after, (heard) => {
    if (heard === 'here' && 'reload' in page) location.reload()
    if (heard === 'here' && link !== 'here') dispatchEvent(new Event('box-heard'))
    link = heard
    tell()
  })
}
if ('signedOut' in page) caches?.delete('pages') // what the last one saw is not for the next

if (part('record')) import('./record.js').then(({ start }) => start(part('record'), home))
if (part('ticking')) setInterval(() => refresh().catch(() => {}), TICK_MS)
if (part('photo')) import('./photo.js').then(({ start }) => start(part('photo')))
if (part('news')) import('./news.js').then(({ start }) => start(part('news')))
if (part('filter')) import('./filter.js').then(({ start }) => start(part('filter')))
if (part('keypad')) import('./keypad.js').then(({ start }) => start(part('keypad')))
