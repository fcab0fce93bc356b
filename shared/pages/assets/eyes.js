// The box's own cameras: what they see, and recording with them. The tablet keeps nothing of it.

import { opened } from './queue.js'
import { Refused, ask } from './tus.js'

const AGAIN_MS = 1000
const JSON_TYPE = { 'Content-Type': 'application/json' }

// Shows what a camera sees now, about once a second, until `stop` is called. `told(is_seen)` is called with each try.
export function look(home, camera, image, told) {
  let over = false
  let shown
  const again = async () => {
    const picture = await ask('GET', `${address(home, camera)}/picture`).then((answer) => answer.blob()).catch(() => null)
    if (over) return
    if (picture) {
      const last = shown
      image.src = shown = URL.createObjectURL(picture)
      await image.decode().catch(() => {})
      if (last) URL.revokeObjectURL(last)
    }
    told(Boolean(picture))
    setTimeout(again, AGAIN_MS)
  }
  again()
  return () => {
    over = true
    image.removeAttribute('src')
    if (shown) URL.revokeObjectURL(shown)
  }
}

export const preflight = (home, camera) => ask('POST', `${address(home, camera)}/preflight`)

// Has the box record, under the `claim` on the animal; what came of it, and the sacrifice that it is of. Asks as often
// as it takes, so it may be called again with the same recording.
export async function record(recording, camera) {
  const { id, home, claim } = recording
  const sacrifice_id = await opened(recording)
  const body = JSON.stringify({ id, sacrifice_id, camera, claim })
  await ask('POST', `${home}/api/v1/recordings`, { headers: JSON_TYPE, body })
  return sacrifice_id
}

// Tells the box until it has heard.
export async function stop(home, id, claim) {
  const body = JSON.stringify({ claim })
  try {
    await ask('POST', `${home}/api/v1/recordings/${id}/stop`, { headers: JSON_TYPE, body })
  } catch (error) {
    if (error instanceof Refused) throw error
    await new Promise((done) => setTimeout(done, AGAIN_MS))
    await stop(home, id, claim)
  }
}

// The state of the page that tells what is in the way.
export function trouble(error) {
  const states = { disk_full: 'box-full', camera_lost: 'camera-lost', camera_busy: 'camera-busy', claimed: 'taken' }
  return states[error instanceof Refused ? error.code : error.message] ?? 'box-away'
}

const address = (home, camera) => `${home}/api/v1/cameras/${encodeURIComponent(camera)}`
