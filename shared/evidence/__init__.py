"""Looks at and listens to a video, and says what follows.

Stages, each a plain function that can be used alone, each taking facts and returning facts:

    probe    what the file is                    media
    sample   one picture a second                frames
    detect   person, animal, knife in each       scene      (the detector is handed in)
    transcribe  speech only, words with times    sound, speech   (the transcriber is handed in)
    match    the names in the words, by sound    names, alignment, phonetics
    judge    the facts to a verdict              judge

``decode`` runs the first two for one video as a stream of events, ``sandbox`` does the same in a process
of its own that foreign bytes may crash (``confined``), and ``pipeline`` joins all of it.
``stages`` keeps what was found, ``replay`` compares it with what a later model finds.
``preflight`` looks at a few seconds before the act.
``copies`` makes derived copies: ``redact`` (``blood``, ``steady``, ``bystanders``) and ``enhance``; a ``workshop``
confines them as well.
``fingerprint`` and ``acts`` find an act that was shown before; ``trials`` judges all three on films of known truth.
"""
