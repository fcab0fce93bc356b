// A photo of what a form is about: made small here, so that it passes a slow line, and sent at once.

import { ask } from './tus.js'
import { show } from './show.js'

const SIDE = 1600
const QUALITY = 0.8

export function start(part) {
  const choose = part.querySelector('input')
  const shown = part.querySelector('img')
  part.hidden = false
  show(part, part.dataset.state)
  choose.onchange = async () => {
    if (!choose.files.length) return
    show(part, 'sending')
    try {
      const small = await shrink(choose.files[0])
      const address = `${part.dataset.photo}/${crypto.randomUUID()}?of=${part.dataset.of}`
      await ask('PUT', address, { headers: { 'Content-Type': small.type }, body: small })
      shown.src = URL.createObjectURL(small)
      shown.hidden = false
      show(part, 'kept')
    } catch (error) {
      console.error(error)
      show(part, 'failed')
    }
  }
}

async function shrink(file) {
  const picture = await createImageBitmap(file)
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height))
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale))
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY })
}
