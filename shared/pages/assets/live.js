// Hears what changes at the box over a WebSocket, and after an interruption goes on where it was cut. Parts of the
// page that are marked `data-live` are then fetched anew; what they show is made by the server alone.

const SIGNED_OUT = 4401
const QUIET_MS = 400
const LONGEST_WAIT_MS = 5000

// `after` is the cursor of what the page has seen; without one it is looked at anew as soon as there is a line.
// `heard(state)`: `here`, `away` (it cannot be reached) or `signed-out`.
export function follow(home, after, heard) {
  let cursor = after
  let failures = 0

  const connect = () => {
    const url = new URL(`${home}/api/v1/events`, location.href)
    if (cursor !== undefined) url.searchParams.set('after', cursor)
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = new WebSocket(url)
    socket.onmessage = ({ data }) => {
      const page = JSON.parse(data)
      const isBlind = cursor === undefined
      cursor = page.cursor
      failures = 0
      heard('here')
      if (isBlind || page.events.length || !page.is_whole) soon()
    }
    socket.onclose = ({ code }) => {
      failures += 1
      if (code === SIGNED_OUT) heard('signed-out')
      else if (failures > 1) heard('away')
      setTimeout(connect, Math.min(200 * 2 ** failures, LONGEST_WAIT_MS))
    }
  }
  connect()
}

let waiting = null
function soon() {
  waiting ??= setTimeout(() => {
    waiting = null
    refresh().catch(() => {}) // the box went away: the socket notices, and comes back
  }, QUIET_MS)
}

export async function refresh() {
  const parts = document.querySelectorAll('[data-live]')
  if (!parts.length) return
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
  if (!answer.ok || answer.redirected) return
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const focused = document.activeElement?.id
  for (const part of parts) {
    const fresh = page.getElementById(part.id)
    if (fresh) renew(part, fresh)
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
  document.dispatchEvent(new Event('refreshed'))
}

// Only what differs is replaced, so that the focus stays where it is, and a screen reader is told of nothing twice.
function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return
  if (old.tagName !== fresh.tagName || isText(old) || isText(fresh)) {
    old.replaceWith(fresh)
    return
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name)
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  const [before, after] = [[...old.children], [...fresh.children]]
  after.forEach((child, at) => (before[at] ? renew(before[at], child) : old.append(child)))
  before.slice(after.length).forEach((child) => child.remove())
}

const isText = (element) => !element.children.length
  || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
