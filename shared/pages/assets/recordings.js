// What this tablet has recorded and the box does not have yet, in IndexedDB: written piece by piece while the
// camera runs, so that a closed tab or an empty battery costs a second at the most.
//
// recordings: {id, home, animal, tag, sacrifice, claim, type, began, size, state, url, problem}
//   state: recording (still growing) | whole | sent;  size: bytes kept so far
// pieces: {id, at, data}, at being the offset of the data in its recording

const opening = new Promise((done, failed) => {
  const request = indexedDB.open('qurbani', 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore('recordings', { keyPath: 'id' })
    request.result.createObjectStore('pieces', { keyPath: ['id', 'at'] })
  }
  request.onsuccess = () => done(request.result)
  request.onerror = () => failed(request.error)
})

// Whoever looks at the recordings, in this tab or another, hears of each change here.
const announcing = new BroadcastChannel('recordings')
export const announce = (recording) => announcing.postMessage(recording)
export function onChange(heard) {
  const channel = new BroadcastChannel('recordings')
  channel.onmessage = (message) => heard(message.data)
}

// One transaction; `work` makes its requests at once, and what it returns is the answer when all is on the disk.
async function transact(mode, work) {
  const db = await opening
  return new Promise((done, failed) => {
    const transaction = db.transaction(['recordings', 'pieces'], mode, { durability: 'strict' })
    const result = work(transaction.objectStore('recordings'), transaction.objectStore('pieces'))
    transaction.oncomplete = () => done(result?.result)
    transaction.onabort = () => failed(transaction.error)
  })
}

export const get = (id) => transact('readonly', (recordings) => recordings.get(id))

// Oldest first: the ids are made of the time.
export const all = () => transact('readonly', (recordings) => recordings.getAll())

export const begin = (recording) =>
  transact('readwrite', (recordings) => recordings.add({ size: 0, state: 'recording', ...recording }))

// Changes what is kept of a recording; one that was forgotten meanwhile stays forgotten.
export async function change(id, changes) {
  await transact('readwrite', (recordings) => {
    recordings.get(id).onsuccess = (event) => {
      if (event.target.result) recordings.put({ ...event.target.result, ...changes })
    }
  })
  announce({ id, ...changes })
}

export async function append(id, data) {
  await transact('readwrite', (recordings, pieces) => {
    recordings.get(id).onsuccess = (event) => {
      const recording = event.target.result
      pieces.put({ id, at: recording.size, data })
      recordings.put({ ...recording, size: recording.size + data.byteLength })
    }
  })
  announce({ id })
}

// What is kept from `offset` on, `most` bytes or a piece more; nothing at the end.
export async function read(id, offset, most) {
  const found = []
  let size = 0
  await transact('readonly', (_, pieces) => {
    const before = pieces.openCursor(IDBKeyRange.bound([id, 0], [id, offset]), 'prev')
    before.onsuccess = () => {
      if (!before.result) return
      const forth = pieces.openCursor(IDBKeyRange.bound(before.result.key, [id, Infinity]))
      forth.onsuccess = () => {
        const piece = forth.result?.value
        if (!piece) return
        const part = new Uint8Array(piece.data).subarray(Math.max(0, offset - piece.at))
        if (part.byteLength) found.push(part)
        size += part.byteLength
        if (size < most) forth.result.continue()
      }
    }
  })
  return new Blob(found).arrayBuffer()
}

// The box has it: what was kept of its picture and sound goes, and what is left says only that it was sent.
export async function sent(id) {
  await transact('readwrite', (recordings, pieces) => {
    pieces.delete(IDBKeyRange.bound([id, 0], [id, Infinity]))
    recordings.delete(id)
  })
  announce({ id, state: 'sent' })
}
