// Keeps what is needed while the box cannot be reached: the assets of this version (ASSETS, named by the server),
// and the pages as they were last seen, until somebody signs out.

const KEPT = `assets ${ASSETS.find((url) => url.endsWith('tablet.js'))}`
const OFFLINE = '/offline'
const PATIENCE_MS = 4000

addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll([...ASSETS, OFFLINE])).then(() => skipWaiting()))
})

addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== KEPT && name !== 'pages') await caches.delete(name)
    await clients.claim()
  })())
})

addEventListener('fetch', (event) => {
  const { request } = event
  if (request.mode === 'navigate' && request.method === 'GET') event.respondWith(page(request))
  else if (ASSETS.includes(new URL(request.url).pathname)) event.respondWith(kept(request))
})

async function page(request) {
  const known = await caches.match(request, { ignoreVary: true })
  const asked = fetch(request).then((answer) => keep(request, answer))
  // A slow box is waited for, unless there is something to show meanwhile.
  const patience = known ? [new Promise((done) => setTimeout(done, PATIENCE_MS, known))] : []
  return Promise.race([asked, ...patience]).catch(async () => known ?? caches.match(OFFLINE))
}

async function keep(request, answer) {
  if (answer.ok && !answer.redirected && /\/animals(\/|$)/.test(new URL(request.url).pathname)) {
    const copy = answer.clone()
    await caches.open('pages').then((cache) => cache.put(request, copy))
  }
  return answer
}

async function kept(request) {
  return (await caches.match(request)) ?? fetch(request)
}
