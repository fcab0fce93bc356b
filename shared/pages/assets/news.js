// News from the hub, brought by a person: codes that this tablet's camera sees on another screen, or a file.

import { show } from './show.js'

const WANTED = { video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } } }
const LONGEST_SIDE = 900
const PAUSE_MS = 120
const KNOWN = ['old_news', 'missing_news', 'foreign_bundle', 'damaged', 'bad_signature', 'not_signed_in']

export function start(root) {
  const part = (name) => root.querySelector(`[data-${name}]`)
  const video = part('view')
  let watching = false

  part('look').addEventListener('click', async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia(WANTED)
      await video.play()
    } catch {
      return show(root, 'no-camera')
    }
    watching = true
    show(root, 'looking')
    while (watching) {
      await look()
      await new Promise((done) => setTimeout(done, PAUSE_MS))
    }
    for (const track of video.srcObject.getTracks()) track.stop()
  })

  part('pick').addEventListener('click', () => part('file').click())
  part('file').addEventListener('change', async ({ target }) => {
    if (target.files[0]) end(await send('/api/v1/news', await target.files[0].arrayBuffer()))
    target.value = ''
  })

  async function look() {
    const { pixels, width } = grey(video)
    const answer = await send(`/api/v1/news/pictures?width=${width}`, pixels)
    if (answer.code || answer.taken) return end({ ...answer, ...answer.taken })
    if (!answer.total) return
    part('seen').textContent = answer.seen
    part('total').textContent = answer.total
    part('bar').max = answer.total
    part('bar').value = answer.seen
    show(root, 'reading')
  }

  function end({ code, changes }) {
    watching = false
    part('changes').textContent = changes ?? ''
    show(root, !code ? 'taken' : code === 'offline' || KNOWN.includes(code) ? code : 'refused')
  }
}

// The picture of the moment, a byte for each pixel: what a code is made of, in a third of the bytes.
function grey(video) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight))
  const width = Math.round(video.videoWidth * scale)
  const height = Math.round(video.videoHeight * scale)
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  context.drawImage(video, 0, 0, width, height)
  const { data } = context.getImageData(0, 0, width, height)
  const pixels = new Uint8Array(width * height)
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = (data[4 * at] + 2 * data[4 * at + 1] + data[4 * at + 2]) >> 2
  return { pixels, width }
}

// What the box answers, or the code of what it refuses; `offline` where it does not answer.
async function send(url, body) {
  const headers = { 'Content-Type': 'application/octet-stream', Accept: 'application/json' }
  try {
    return await (await fetch(url, { method: 'POST', body, headers })).json()
  } catch {
    return { code: 'offline' }
  }
}
