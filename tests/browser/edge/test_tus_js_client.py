"""The standard client of browsers, tus-js-client, against the box: stopped and resumed, and of unknown length."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec

from shared.ids import new_id
from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site

LIBRARY = Path(__file__).parent / "vendor" / "tus-js-client-4.3.1.min.js"
SIZE = 300_000
CONTENT = bytes(index % 251 for index in range(SIZE))

UPLOAD = """(async metadata => {
  const content = Uint8Array.from({ length: %d }, (_, index) => index %% 251)
  const steps = []
  const upload = (source, options) => new Promise((done, failed) => {
    const sending = new tus.Upload(source, {
      endpoint: '/api/v1/uploads', metadata, chunkSize: 100000, retryDelays: [], removeFingerprintOnSuccess: true,
      onError: failed, onSuccess: () => done(sending),
      onChunkComplete: (size, accepted) => { steps.push(accepted); options.after?.(sending, accepted, done) },
      ...options,
    })
    options.before ? options.before(sending).then(() => sending.start()) : sending.start()
  })
  if (metadata.how === 'resumed') {
    await upload(new Blob([content]), { after: (sending, accepted, done) => sending.abort().then(done) })
    await upload(new Blob([content]), {
      before: async sending => sending.resumeFromPreviousUpload((await sending.findPreviousUploads())[0]),
    })
  } else {
    const stream = new Blob([content]).stream().getReader()
    await upload(stream, { uploadLengthDeferred: true })
  }
  return steps
})"""


def test_the_standard_client_works_unchanged(site: Site, page: Tab) -> None:
    page.run(LIBRARY.read_text() + "; true")
    for animal, how in zip(site.animals[4:6], ("resumed", "deferred"), strict=True):
        sacrifice, video = site.tablet.open_sacrifice(animal), new_id()
        steps = page.run(f"{UPLOAD % SIZE}({metadata(sacrifice, video, how)})")
        assert list(dict.fromkeys(steps)) == [100_000, 200_000, 300_000], how
        (kept,) = site.videos(animal)
        assert (kept["id"], kept["sha256"]) == (str(video), sha256(CONTENT).hexdigest()), how


def metadata(sacrifice: UUID, video: UUID, how: str) -> str:
    facts = {"video_id": str(video), "sacrifice_id": str(sacrifice), "filetype": "video/mp4", "how": how}
    return msgspec.json.encode(facts).decode()
