// The tablet's camera and microphone: what they see and hear, and a recording of it in pieces of about a second.

const WANTED = {
  video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 } },
  // Names are recognised from what was said, not from what a telephone would make of it.
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: true },
}

// What every player can show first. Each of them plays up to wherever it was cut.
const TYPES = ['video/mp4;codecs=avc1.42E01E,mp4a.40.2', 'video/mp4;codecs=avc1,opus', 'video/webm;codecs=vp8,opus',
  'video/mp4', 'video/webm']

const PIECE_MS = 1000
const BITS_PER_SECOND = 2_000_000

export const open = () => navigator.mediaDevices.getUserMedia(WANTED)

// Records until `stop` is called or the camera is taken away. `keep(data)` is called with each piece, one after the
// other; `over` resolves when the last has been kept, and rejects when one could not be.
export function record(stream, keep) {
  const type = TYPES.find((each) => MediaRecorder.isTypeSupported(each))
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS_PER_SECOND })
  let kept = Promise.resolve()
  const over = new Promise((done, failed) => {
    recorder.ondataavailable = ({ data }) => {
      if (!data.size) return
      kept = kept.then(async () => keep(await data.arrayBuffer()))
      kept.catch((error) => {
        failed(error)
        if (recorder.state !== 'inactive') recorder.stop()
      })
    }
    recorder.onstop = () => kept.then(done, failed)
    recorder.onerror = ({ error }) => failed(error)
  })
  recorder.start(PIECE_MS)
  const stop = () => recorder.state === 'inactive' || recorder.stop()
  return { type: type.replaceAll(' ', ''), stop, over }
}

// Loudness of the moment, 0 to 1: root mean square of the samples, the square root of which is about how loud it
// seems.
export function microphone(stream) {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  return () => {
    analyser.getFloatTimeDomainData(samples)
    const mean = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length
    return Math.min(1, Math.sqrt(Math.sqrt(mean)))
  }
}

const SAMPLE_MS = 2000
const WIDTH = 64
const HEIGHT = 36

// How light the picture is now, 0 to 255.
export function light(video) {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  context.drawImage(video, 0, 0, WIDTH, HEIGHT)
  const { data } = context.getImageData(0, 0, WIDTH, HEIGHT)
  let sum = 0
  for (let at = 0; at < data.length; at += 4) sum += 0.3 * data[at] + 0.59 * data[at + 1] + 0.11 * data[at + 2]
  return sum / (WIDTH * HEIGHT)
}

// A short recording, to be looked at before the act.
export async function sample(stream) {
  const pieces = []
  const { stop, over } = record(stream, (data) => pieces.push(data))
  setTimeout(stop, SAMPLE_MS)
  await over
  return new Blob(pieces)
}
