// The page of one animal: claim it, open the camera, record, and show what becomes of the recording.

import * as camera from './camera.js'
import { claim, tablet } from './queue.js'
import * as recordings from './recordings.js'
import { Refused, ask } from './tus.js'
import { show } from './show.js'

const RENEW_MS = 30_000
const METER_MS = 200
const DARK = 40
const SILENT = 0.02
const SILENT_MS = 3000
const LOOK_AGAIN_MS = 5000
const ROOM_BYTES = 64 * 1024 * 1024

export async function start(root, home) {
  const part = (name) => root.querySelector(`[data-${name}]`)
  const { animal, tag } = root.dataset
  let sacrifice = root.dataset.sacrifice || crypto.randomUUID()
  let token
  let running = null // the recording under way
  let newest = null // the id of the last one made on this page

  const state = (name) => show(root, name)

  const hold = async () => {
    try {
      const body = JSON.stringify({ tablet: tablet() })
      const headers = { 'Content-Type': 'application/json' }
      token = (await (await ask('POST', `${home}/api/v1/animals/${animal}/claim`, { headers, body })).json()).token
    } catch (error) {
      if (error.code === 'ineligible') return 'unfit'
      if (!(error instanceof Refused) || error.code !== 'claimed') return '' // the box is away: go on without
      part('taken-by').textContent = error.facts.by
      return 'taken'
    }
    return ''
  }

  const leave = () => {
    if (token === undefined || running) return
    fetch(`${home}/api/v1/animals/${animal}/claim?token=${token}`, { method: 'DELETE', keepalive: true })
  }

  const barred = await hold()
  if (barred) return state(barred)
  setInterval(hold, RENEW_MS)
  addEventListener('pagehide', leave)

  let stream
  try {
    stream = await camera.open()
  } catch {
    return state('no-camera')
  }
  const preview = part('preview')
  preview.srcObject = stream
  await preview.play()
  watch(stream, preview, root, home, part)
  state('ready')

  const begin = async () => {
    const { quota, usage } = await navigator.storage.estimate()
    if (quota - usage < ROOM_BYTES) return state('no-room')
    const id = crypto.randomUUID()
    const begun = new Date()
    let made
    // The lock says that somebody is writing; when this page dies, it goes, and the queue sends what there is.
    const isLocked = new Promise((locked) => {
      navigator.locks.request(`recording ${id}`, async () => {
        locked()
        await new Promise((done) => { made = done })
      })
    })
    await isLocked
    running = camera.record(stream, (data) => recordings.append(id, data))
    await recordings.begin({ id, home, animal, tag, sacrifice, claim: token, type: running.type, began: begun.getTime() })
    newest = id
    state('recording')
    const ticking = setInterval(() => {
      const seconds = Math.floor((Date.now() - begun) / 1000)
      part('timer').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    }, 250)
    const light = await navigator.wakeLock?.request('screen').catch(() => null)
    try {
      await running.over
    } catch (error) {
      console.error(error) // what was kept until then is sent
    }
    clearInterval(ticking)
    light?.release()
    running = null
    await recordings.change(id, { state: 'whole' })
    made()
    state('sending')
  }

  part('shutter').onclick = () => (running ? running.stop() : begin())

  // What becomes of it: sent piece by piece, whole on the box, judged.
  recordings.onChange(async ({ id, offset, state: changed, sacrifice: opened }) => {
    if (id !== newest) return
    if (opened) sacrifice = opened
    if (offset && !running) {
      const share = offset / (await recordings.get(id))?.size || 0
      part('progress').value = share
      part('percent').textContent = new Intl.NumberFormat(document.documentElement.lang, { style: 'percent' }).format(share)
    }
    if (changed === 'sent' && !running) {
      state('checking')
      judged()
    }
  })

  const judged = () => {
    const verdict = newest && root.querySelector(`[data-video="${newest}"]`)
    if (root.dataset.state === 'checking' && verdict && verdict.dataset.outcome !== 'checking') state('judged')
  }
  document.addEventListener('refreshed', judged)
}

// Warns of what would spoil the recording, while there is still time: at once of what this tablet notices itself, and
// within seconds of what the box finds in a short recording. Advice only; nobody has to wait for it.
function watch(stream, preview, root, home, part) {
  const loudness = camera.microphone(stream)
  let heard = Date.now()
  setInterval(() => {
    const level = loudness()
    if (level > SILENT) heard = Date.now()
    part('level').value = level
    root.querySelector('[data-advice="dark"]').hidden = camera.light(preview) > DARK
    root.querySelector('[data-advice="silent"]').hidden = Date.now() - heard < SILENT_MS
  }, METER_MS)

  const askBox = async () => {
    if (root.dataset.state === 'recording') return
    const body = await camera.sample(stream)
    if (root.dataset.state !== 'ready') return
    const found = await ask('POST', `${home}/api/v1/preflight`, { body }).then((answer) => answer.json()).catch(() => null)
    if (found) tell(found.faults)
    if (!found?.ready) setTimeout(askBox, LOOK_AGAIN_MS)
  }
  const language = document.documentElement.lang
  const tell = (faults) => {
    part('found').replaceChildren(...faults.map(({ hints }) => {
      const line = document.createElement('li')
      line.textContent = hints[language]
      return line
    }))
  }
  askBox()
}
