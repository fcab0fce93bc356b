// The page of one animal: claim it, open the camera, record, and show what becomes of the recording.

import * as camera from './camera.js'
import * as eyes from './eyes.js'
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
  let running = null // the recording under way: how to stop it
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

  // Which camera records: '' is this tablet's, else the name of one of the box's.
  const eye = () => root.querySelector('[name="eye"]:checked')?.value ?? ''
  const choose = (name) => {
    const choice = [...root.querySelectorAll('[name="eye"]')].find(({ value }) => value === name)
    if (choice) choice.checked = true
    root.dataset.eye = choice?.value ? 'box' : 'tablet'
    look()
  }

  let close = () => {} // what is being looked through now
  let stream
  const look = () => {
    close()
    part('found').replaceChildren()
    close = eye() ? lookAtBox(root, home, eye(), part) : () => stream?.getTracks().forEach((track) => track.stop())
  }
  const open = async () => {
    if (eye()) return
    const preview = part('preview')
    state('opening')
    try {
      stream = await camera.open()
    } catch {
      return eye() || state('no-camera')
    }
    if (eye()) return stream.getTracks().forEach((track) => track.stop()) // another one was chosen meanwhile
    preview.srcObject = stream
    await preview.play()
    const unwatch = watch(stream, preview, root, home, part)
    const last = close
    close = () => {
      unwatch()
      last()
    }
    state('ready')
  }
  part('eyes')?.addEventListener('change', () => {
    localStorage.setItem('eye', eye())
    choose(eye())
    open()
  })

  const tick = (begun) => setInterval(() => {
    const seconds = Math.floor((Date.now() - begun) / 1000)
    part('timer').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  }, 250)

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
    const ticking = tick(begun)
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

  // The box records by itself, also when this page is closed. Whose answer is lost asks for the same one again.
  let wished = null
  const beginAtBox = async () => {
    wished ??= crypto.randomUUID()
    const id = wished
    try {
      sacrifice = await eyes.record({ id, home, animal, sacrifice, claim: token }, eye())
    } catch (error) {
      if (error instanceof Refused) wished = null
      if (error.code === 'claim_lost') return state((await hold()) || 'ready')
      return state(eyes.trouble(error))
    }
    wished = null
    recordingAtBox(id, Date.now())
  }

  const recordingAtBox = (id, begun) => {
    newest = id
    state('recording')
    const ticking = tick(begun)
    running = {
      stop: () => eyes.stop(home, id, token),
      ended: (to) => {
        clearInterval(ticking)
        running = null
        state(to)
      },
    }
  }

  // What the box says of its recording, in the part of the page that is kept up to date.
  const heardOfBox = () => {
    const told = root.querySelector('[data-recording]')?.dataset
    if (!told) return
    if (!running && !newest && ['asked', 'running'].includes(told.now)) {
      choose(told.camera)
      recordingAtBox(told.recording, Date.now() - 1000 * told.seconds)
    }
    if (running?.ended && told.recording === newest && !['asked', 'running'].includes(told.now)) {
      running.ended(told.now === 'empty' ? 'nothing' : 'checking')
    }
  }
  document.addEventListener('refreshed', heardOfBox)

  part('shutter').onclick = () => (running ? running.stop() : eye() ? beginAtBox() : begin())

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

  heardOfBox()
  if (!running) {
    choose(localStorage.getItem('eye') ?? '')
    await open()
  }
}

// Warns of what would spoil the recording, while there is still time: at once of what this tablet notices itself, and
// within seconds of what the box finds in a short recording. Advice only; nobody has to wait for it.
function watch(stream, preview, root, home, part) {
  const loudness = camera.microphone(stream)
  let heard = Date.now()
  const meter = setInterval(() => {
    const level = loudness()
    if (level > SILENT) heard = Date.now()
    part('level').value = level
    root.querySelector('[data-advice="dark"]').hidden = camera.light(preview) > DARK
    root.querySelector('[data-advice="silent"]').hidden = Date.now() - heard < SILENT_MS
  }, METER_MS)

  const unasked = askBox(root, part, async () => {
    const body = await camera.sample(stream)
    if (root.dataset.state === 'ready') return ask('POST', `${home}/api/v1/preflight`, { body })
  })
  return () => {
    clearInterval(meter)
    unasked()
  }
}

// The same for a camera of the box, whose picture is shown. Both return how to end it.
function lookAtBox(root, home, name, part) {
  const unseen = eyes.look(home, name, part('picture'), (isSeen) => {
    root.querySelector('[data-advice="blind"]').hidden = isSeen
    if (!isSeen && root.dataset.state === 'ready') show(root, 'camera-lost')
    if (isSeen && ['opening', 'no-camera', 'camera-lost'].includes(root.dataset.state)) show(root, 'ready')
  })
  const unasked = askBox(root, part, () => eyes.preflight(home, name))
  return () => {
    unseen()
    unasked()
  }
}

// Has the box look, again and again until all is well.
function askBox(root, part, request) {
  let over = false
  const once = async () => {
    if (over || root.dataset.state === 'recording') return
    const found = await request().then((answer) => answer?.json()).catch(() => null)
    if (over) return
    if (found) tell(part, found.faults)
    if (!found?.ready) setTimeout(once, LOOK_AGAIN_MS)
  }
  once()
  return () => { over = true }
}

function tell(part, faults) {
  const language = document.documentElement.lang
  part('found').replaceChildren(...faults.map(({ hints }) => {
    const line = document.createElement('li')
    line.textContent = hints[language]
    return line
  }))
}
