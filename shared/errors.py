"""One table of every error: its code, its HTTP status, what to do next, and whether trying again may help.

Clients match on the code, people read the hint, jobs ask whether to retry. A function raises
:class:`QurbaniError` or returns; one module per program turns it into an answer (RFC 9457 problem
details over HTTP, one line and a non-zero exit on the command line).
"""

from __future__ import annotations

from typing import Any

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """One row of the table: ``status`` is the HTTP status, ``hint`` the next step in plain words."""

    status: int
    title: str
    hint: str
    retry: bool = False


TABLE: dict[str, Kind] = {
    # events and sync
    "bad_event": Kind(422, "An event that fits no schema", "Look at it in the dead-letter topic."),
    "bad_code": Kind(403, "This enrolment code is not valid", "Ask the hub's administrator for a new code."),
    "unknown_node": Kind(403, "The hub does not know this box", "Enrol the box again with a new code."),
    "clock_skew": Kind(401, "The box's clock is off", "Repeat the request with the time in the answer.", retry=True),
    "gap": Kind(409, "Ops are missing before these", "Send again from the acknowledged seq.", retry=True),
    "fork": Kind(409, "Two histories of one box", "Nothing to do: the box takes a name of its own and sends again."),
    "revoked": Kind(403, "This box was shut out", "What it records is kept aside; ask the hub's administrator."),
    "bad_op": Kind(422, "An op that cannot be applied", "Look at it among the quarantined ops."),
    "bad_assertion": Kind(401, "The box did not prove who it is", "Try again; if it stays, enrol the box again.",
                          retry=True),
    "not_the_hub": Kind(502, "Something else answered in the hub's place", "See if the network wants you to sign in.",
                        retry=True),
    "bad_version": Kind(400, "Box and hub speak different versions", "Bring the older of the two up to date."),
    # bundles on a stick
    "no_bundle": Kind(404, "There is no whole bundle here", "Let the box finish it: `qurbani edge export-bundle`."),
    "foreign_bundle": Kind(422, "This bundle is for somebody else", "Take it to the hub at which its box enrolled."),
    "later_bundle": Kind(409, "The stick holds more than this box knows", "Take it to the hub first, or use another."),
    "stick_gone": Kind(503, "The stick cannot be used", "Put it in again and repeat; it goes on where it was.",
                       retry=True),
    # replicas of a box
    "no_replica": Kind(404, "There is no whole replica here", "Name the folder that `qurbani edge replicate` wrote."),
    "replica_gone": Kind(503, "The replica's disk cannot be used", "Connect or mount it; it goes on by itself.",
                         retry=True),
    # updates of a box
    "old_update": Kind(409, "This update does not fit what runs here", "Take the one that follows what runs here."),
    "not_now": Kind(503, "It is not the time for an update", "Try again when it is over.", retry=True),
    # news by hand
    "old_news": Kind(409, "The box knows these news already", "Nothing to do."),
    "missing_news": Kind(409, "What comes before these news is missing", "Ask the hub for new ones, for this box."),
    # keys and sealed files
    "bad_signature": Kind(401, "The signature does not hold", "Sign with the enrolled key and send it again."),
    "wrong_key": Kind(422, "This key does not open it", "Use the key for which it was made."),
    "key_locked": Kind(500, "The private key is locked", "Give the right passphrase and start again."),
    "not_waiting": Kind(409, "No box waits for its keys", "See with `qurbani edge status` whether it runs already."),
    "damaged": Kind(422, "The sealed file is damaged", "Fetch it again from where it is whole."),
    # videos in the cloud
    "bad_range": Kind(416, "The file has no such part", "Ask for bytes that lie within its size."),
    "dead_link": Kind(403, "This link is not good any more", "Open the page again, which makes a new one."),
    "not_the_original": Kind(422, "Not the file that was recorded", "Fetch it again from the box that recorded it."),
    "archived": Kind(409, "It is in the archive", "Ask for it back; that takes some minutes."),
    "over_quota": Kind(507, "The quota for videos is used up", "Raise it at the hub, or archive what is old."),
    # notifications
    "mail_deferred": Kind(503, "The mail server takes no mail now", "Nothing to do; it is tried again.", retry=True),
    "mail_refused": Kind(502, "The mail server refuses this mail", "Correct the address, or ask the mail server."),
    # the hub
    "lost_lease": Kind(409, "Another worker has this job", "Nothing to do; the other one finishes it."),
    "four_eyes": Kind(403, "This takes another person", "Ask a colleague who has not decided it to approve it."),
    "full": Kind(409, "There is no room left", "Choose another animal or site."),
    # the box
    "not_enrolled": Kind(503, "This box belongs to no site yet", "Run `qurbani edge enrol` with a code of the hub."),
    "disk_full": Kind(507, "The box has no room for a video", "Let it send what it has, or give it a larger disk."),
    "people_old": Kind(403, "The list of people is too old", "Let somebody else vouch, or bring news of the hub."),
    "claimed": Kind(409, "Somebody else is with this animal", "Choose another; it is free when they leave it."),
    "tag_taken": Kind(409, "Another animal has this tag", "Look at both animals, and correct the tag that is wrong."),
    "ineligible": Kind(409, "This animal does not count", "Choose another; correct its entry if that is wrong."),
    "claim_lost": Kind(409, "Another tablet has this animal now", "Claim it again, or choose another."),
    "camera_lost": Kind(503, "The box cannot see through this camera", "See to its cable and power, or use the tablet.",
                        retry=True),
    "camera_busy": Kind(409, "This camera records something else", "Wait until it is done, or use another camera."),
    "already_running": Kind(500, "A box runs on this folder already", "Stop it, or choose another QURBANI_DATA."),
    "two_sqlites": Kind(500, "Two SQLite libraries in one process", "Import `edge` before anything opens SQLite."),
    "unsound_sqlite": Kind(500, "This SQLite can damage its files", "Install pysqlite3, or SQLite 3.51.3 or later."),
    # evidence: reading a video that was sent
    "file_empty": Kind(422, "The file is empty", "Record again and wait until the upload is complete."),
    "not_a_video": Kind(422, "The file is not a video", "Choose the video and send it again."),
    "file_damaged": Kind(422, "The video is cut short or damaged", "Send it again; else record again."),
    "too_long": Kind(422, "The video is too long to be checked", "Record only the sacrifice."),
    "too_demanding": Kind(422, "The video takes too much time or memory to read", "Record at 1080p or less."),
    "decoder_crashed": Kind(422, "The video broke what reads it", "Send it again; else record again."),
    "not_a_manifest": Kind(422, "Not a manifest of ours", "Take the file as it was handed out, unchanged."),
    # models
    "no_model": Kind(404, "No such model here", "See `qurbani models list`; get it with `qurbani models fetch`."),
    "model_damaged": Kind(422, "The model is not what it should be", "Delete its file and fetch it again."),
    "fetch_failed": Kind(502, "The model could not be fetched", "Run it again; it goes on from there.", retry=True),
    "bad_dataset": Kind(422, "The folder is no data set to judge on", "See docs/evaluation.md for what it must hold."),
    # uploads (tus 1.0.0)
    "wrong_offset": Kind(409, "The upload stands elsewhere", "Ask where it stands (HEAD); go on there.", retry=True),
    "taken_over": Kind(409, "Another connection goes on with it", "Ask where it stands (HEAD).", retry=True),
    "upload_cut": Kind(408, "The connection was cut", "Ask where it stands (HEAD); go on there.", retry=True),
    "upload_idle": Kind(408, "No byte came for too long", "Ask where it stands (HEAD); go on there.", retry=True),
    "upload_gone": Kind(410, "This upload has expired", "Begin it anew."),
    "wrong_version": Kind(412, "Another version of tus", "Speak the version that Tus-Version names."),
    "locked": Kind(423, "Somebody else is writing it", "Try again in a moment.", retry=True),
    "checksum_mismatch": Kind(460, "The bytes are not those that were promised", "Send them again.", retry=True),
    "bad_answer": Kind(502, "The other side answers what it should not", "Look at its log; try again.", retry=True),
    "disk_fault": Kind(500, "The disk fails", "Try again; if it stays, save what is there, and replace the disk.",
                       retry=True),
    "storage_full": Kind(507, "There is no room for it", "Make room; what the cloud has confirmed can go."),
    # anything
    "bad_input": Kind(400, "The request is not valid", "Correct the named field and send it again."),
    "not_signed_in": Kind(401, "Sign in first", "Sign in again and repeat the request."),
    "bad_credentials": Kind(401, "Name and secret do not match", "Check both and try again."),
    "weak_password": Kind(400, "This password is too easy to guess", "Take a longer one: four unrelated words."),
    "stale_form": Kind(403, "This form is too old", "Load the page again, and send it once more."),
    "wrong_code": Kind(401, "This code does not hold", "Take the next one that the app shows, or a recovery code."),
    "second_factor_needed": Kind(403, "A second factor is needed", "Send a code of your app; set one up if you must."),
    "step_up_needed": Kind(403, "Show your second factor again", "Send a code of your app and repeat the request."),
    "bad_link": Kind(403, "This link is used up or too old", "Ask for a new one."),
    "forbidden": Kind(403, "Not allowed for your role", "Ask an administrator for the role it needs."),
    "not_found": Kind(404, "There is nothing here", "Check the address; it may belong to someone else."),
    "method_not_allowed": Kind(405, "Not possible at this address", "Use one of the methods that Allow names."),
    "unsupported_media": Kind(415, "A media type that is not taken here", "Send the type that the interface names."),
    "open_orders": Kind(409, "Orders are under way", "Wait until they are done, or have them called off first."),
    "not_a_paper": Kind(422, "Not a paper of ours", "Take the file as it was handed out, unchanged."),
    "erased": Kind(410, "This person's data were erased", "Nothing to do: they cannot be brought back."),
    "conflict": Kind(409, "It changed meanwhile", "Load it again and repeat the change."),
    "in_flight": Kind(409, "The same request is under way", "Send it again as soon as Retry-After says.", retry=True),
    "key_reused": Kind(422, "The key of another request", "Give each request an Idempotency-Key of its own."),
    "too_slow": Kind(408, "The request came too slowly", "Send it again over a better line.", retry=True),
    "stale": Kind(412, "It changed since you read it", "Load it again, and send the change with its new ETag."),
    "bad_transition": Kind(409, "That step is not possible now", "Load the current state; it may be done already."),
    "too_large": Kind(413, "Too large", "Send a smaller one."),
    "too_many_requests": Kind(429, "Too many requests", "Wait as long as Retry-After says.", retry=True),
    "internal": Kind(500, "Something broke on our side", "Try again; if it stays, report time and code.", retry=True),
    "unavailable": Kind(503, "A helper is not reachable", "Try again in a moment.", retry=True),
    "misconfigured": Kind(500, "A setting is missing or wrong", "Correct the named setting and start again."),
    "missing_extra": Kind(500, "A part of the product is not installed", "Install the extra that the message names."),
}


class QurbaniError(Exception):
    """An error of the table. ``detail`` says what happened this time; ``facts`` are machine-readable."""

    def __init__(self, code: str, detail: str = "", **facts: Any) -> None:
        self.kind = TABLE[code]
        self.code = code
        self.detail = detail or self.kind.title
        self.facts = facts
        super().__init__(f"{code}: {self.detail}")

    @property
    def retry(self) -> bool:
        return self.kind.retry

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem document, media type ``application/problem+json``."""
        return {
            "type": f"urn:qurbani:error:{self.code}",
            "code": self.code,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "hint": self.kind.hint,
            "retry": self.kind.retry,
            **self.facts,
        }

    def line(self) -> str:
        """One line for the command line: what happened and what to do."""
        return f"{self.detail} [{self.code}] {self.kind.hint}"
