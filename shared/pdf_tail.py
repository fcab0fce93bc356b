"""A PDF that carries a note behind its end, in a way that readers of PDF do not mind.

Behind the last ``%%EOF`` come a comment with the note in base64, and once more where the table of the file begins.
There is one way to write that, so that a file in which any bit is another is told from what was written.
"""

from __future__ import annotations

import base64
import binascii
import re

BEGIN = b"%PDF-"
_NOTE = b"\n%qurbani "
_END = re.compile(rb"startxref\s+([0-9]{1,10})\s+%%EOF\s*$")


def attach(pdf: bytes, note: bytes) -> bytes:
    """The whole file. Raises ``ValueError`` for what is no PDF."""
    end = _END.search(pdf[-64:])
    if not pdf.startswith(BEGIN) or end is None:
        raise ValueError("this is not a whole PDF")
    return pdf + _NOTE + base64.b64encode(note) + b"\nstartxref\n" + end[1] + b"\n%%EOF\n"


def detach(data: bytes) -> tuple[bytes, bytes]:
    """The PDF as it was before, and its note. Raises ``ValueError`` where it is not as :func:`attach` writes it."""
    pdf, _, tail = data.rpartition(_NOTE)
    try:
        note = base64.b64decode(tail.partition(b"\n")[0], validate=True)
    except binascii.Error as error:
        raise ValueError("the note of this PDF is damaged") from error
    if attach(pdf, note) != data:
        raise ValueError("this PDF is not as it was written")
    return pdf, note
