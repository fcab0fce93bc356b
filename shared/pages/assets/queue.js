// Sends what this tablet has recorded, the newest first, for as long as the page is open. One tab does it for all.

import { all, announce, change, get, onChange, read, sent } from './recordings.js'
import { NotNow, Refused, ask, create, send } from './tus.js'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15000

// `told(state, count)`: '' | sending | offline | signed-out | full | stuck, and how many wait.
export function work(told) {
  navigator.locks.request('sending', () => forever(told))
  // A tab that does not send itself shows what it hears of the one that does.
  onChange(async (news) => news.queue !== undefined && told(news.queue, await waiting()))
}

const waiting = async () => (await all()).length

async function forever(told) {
  const tell = async (state) => {
    announce({ queue: state })
    told(state, await waiting())
  }
  let failures = 0
  for (;;) {
    await mendCut()
    const next = (await all()).reverse().find((recording) => !recording.problem)
    if (!next) {
      await tell((await waiting()) ? 'stuck' : '')
      await news()
      continue
    }
    try {
      await tell('sending')
      await sendOne(next)
      failures = 0
    } catch (error) {
      failures += 1
      await tell(await judge(error, next).catch(() => 'offline'))
      await Promise.race([backAgain(), pause(Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS))])
    }
  }
}

// A recording that nobody is writing any more, although it does not say that it is whole, was cut: what is kept of
// it plays, and goes the same way.
async function mendCut() {
  for (const recording of await all()) {
    if (recording.state !== 'recording') continue
    await navigator.locks.request(`recording ${recording.id}`, { ifAvailable: true }, async (lock) => {
      if (!lock) return
      if (recording.size) await change(recording.id, { state: 'whole' })
      else await sent(recording.id)
    })
  }
}

async function sendOne(recording) {
  const { id, home } = recording
  const sacrifice = await open(recording)
  const facts = { id, video_id: id, sacrifice_id: sacrifice, filetype: recording.type }
  const url = recording.url ?? await begin(home, sacrifice, facts)
  if (!url) return sent(id)
  await change(id, { url })
  const source = {
    read: (offset, most) => read(id, offset, most),
    length: async () => {
      const now = await get(id)
      return now.state === 'whole' ? now.size : null
    },
    more: news,
  }
  await send(url, source, (offset) => announce({ id, offset }))
  await sent(id)
}

// Where the upload is; nowhere when the box has the video already, and only its answer was lost.
async function begin(home, sacrifice, facts) {
  try {
    return await create(`${home}/api/v1/uploads`, facts)
  } catch (error) {
    if (error.code !== 'conflict') throw error
    const { videos } = await (await ask('GET', `${home}/api/v1/sacrifices/${sacrifice}`)).json()
    if (!videos.some((video) => video.id === facts.id)) throw error
    return null
  }
}

async function open(recording) {
  if (recording.is_open) return recording.sacrifice
  const sacrifice = await opened(recording)
  await change(recording.id, { sacrifice, is_open: true })
  return sacrifice
}

// One trace for all that comes of a sacrifice, down to the donor's mail: its id (W3C Trace Context).
function traced(sacrifice) {
  const span = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return { traceparent: `00-${sacrifice.replaceAll('-', '')}-${span}-01` }
}

// The sacrifice it belongs to: opened under our claim, or the one that another tablet has opened meanwhile.
export async function opened({ home, animal, sacrifice, claim }) {
  const body = JSON.stringify({ id: sacrifice, animal_id: animal, claim })
  const headers = { 'Content-Type': 'application/json' }
  try {
    await ask('POST', `${home}/api/v1/sacrifices`, { headers: { ...headers, ...traced(sacrifice) }, body })
  } catch (error) {
    if (error.code !== 'conflict' || !error.facts.sacrifice_id) throw error
    return error.facts.sacrifice_id
  }
  return sacrifice
}

// What a failure means for the whole queue; what is this recording's own fault is kept and stands aside.
async function judge(error, { id, home, animal, url }) {
  if (error instanceof NotNow) return 'offline'
  if (!(error instanceof Refused)) {
    console.error(error)
    return 'stuck'
  }
  if (error.status === 401) return 'signed-out'
  if (error.status === 507) return 'full'
  if (error.code === 'claimed') return 'sending'
  if (error.code === 'claim_lost') {
    // It was recorded all the same. Stand in line for the animal; whoever has it opens the sacrifice, or leaves it.
    await change(id, { claim: await claim(home, animal) })
    return 'sending'
  }
  if ((error.status === 404 || error.status === 410) && url) {
    await change(id, { url: undefined })
    return 'sending'
  }
  if (['wrong_offset', 'taken_over', 'checksum_mismatch'].includes(error.code)) return 'sending'
  await change(id, { problem: error.code || String(error.status) })
  return 'stuck'
}

// The token of a claim on the animal; undefined while somebody else has it.
export async function claim(home, animal) {
  const headers = { 'Content-Type': 'application/json' }
  const body = JSON.stringify({ tablet: tablet() })
  try {
    return (await (await ask('POST', `${home}/api/v1/animals/${animal}/claim`, { headers, body })).json()).token
  } catch (error) {
    if (error instanceof Refused && error.code === 'claimed') return undefined
    throw error
  }
}

// What this tablet calls itself, once and for all.
export function tablet() {
  const name = localStorage.getItem('tablet') ?? crypto.randomUUID()
  localStorage.setItem('tablet', name)
  return name
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const backAgain = () => new Promise((done) => addEventListener('box-heard', done, { once: true }))

// Something was recorded or changed; looked for now and then as well, so that no message can be missed for good.
let ring
let bell = new Promise((done) => { ring = done })
onChange((change) => {
  if (change.queue !== undefined) return
  ring()
  bell = new Promise((done) => { ring = done })
})
const news = () => Promise.race([bell, pause(1000)])
