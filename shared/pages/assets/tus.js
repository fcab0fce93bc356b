// Sends a recording by tus 1.0.0 (https://tus.io/protocols/resumable-upload), also while it is still growing:
// its length is deferred until it is whole. The box says where it stands, so any interruption is gone on from.

const ALWAYS = { 'Tus-Resumable': '1.0.0' }
const MOST = 4 * 1024 * 1024

// The box said no, and will say it again; `code` is one of its error table.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? String(status))
    this.status = status
    this.code = problem.code ?? ''
    this.facts = problem
  }
}

// Nothing was said about the recording, only that now is not the time.
export class NotNow extends Error {}

export async function ask(method, url, request = {}) {
  let answer
  try {
    answer = await fetch(url, { method, credentials: 'same-origin', ...request })
  } catch (error) {
    throw new NotNow(String(error))
  }
  if (answer.ok) return answer
  const problem = await answer.json().catch(() => ({}))
  if ([408, 423, 425, 429, 500, 502, 503, 504].includes(answer.status)) throw new NotNow(problem.code)
  throw new Refused(answer.status, problem)
}

const base64 = (bytes) => btoa(String.fromCharCode(...bytes))
const metadata = (facts) => Object.entries(facts)
  .map(([name, value]) => `${name} ${base64(new TextEncoder().encode(value))}`).join(',')

// Creates the upload; `facts.id` names it, so that creating it again finds it where it stands.
export async function create(endpoint, facts) {
  const headers = { ...ALWAYS, 'Upload-Defer-Length': '1', 'Upload-Metadata': metadata(facts) }
  const answer = await ask('POST', endpoint, { headers })
  return new URL(answer.headers.get('Location'), new URL(endpoint, location.href)).pathname
}

export async function standing(url) {
  return offsetOf(await ask('HEAD', url, { headers: ALWAYS }))
}

// Sends what `source` has, until it is whole and all of it has arrived.
// source: read(offset, most) -> ArrayBuffer, empty where there is no more yet; length() -> bytes, null while it
// grows; more() -> a promise of more.
export async function send(url, source, progressed) {
  let offset = await standing(url)
  for (;;) {
    const length = await source.length()
    const piece = await source.read(offset, MOST)
    const isLast = length !== null && offset + piece.byteLength === length
    if (!piece.byteLength && !isLast) {
      await source.more()
      continue
    }
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', piece))
    const headers = {
      ...ALWAYS,
      'Content-Type': 'application/offset+octet-stream',
      'Upload-Offset': String(offset),
      'Upload-Checksum': `sha256 ${base64(digest)}`,
      ...(isLast && { 'Upload-Length': String(length) }),
    }
    offset = offsetOf(await ask('PATCH', url, { headers, body: piece }))
    progressed(offset)
    if (isLast) return
  }
}

const offsetOf = (answer) => Number(answer.headers.get('Upload-Offset'))
