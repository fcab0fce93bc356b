"""The examples of the interface's document: one story, told by the names of the fields.

The same order, donor and site stand wherever a field speaks of them, so that one example can be followed into the next.
"""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

WORDS: dict[str, Any] = {
    "about": "Ahmed Benali",
    "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl",
    "agent": "Firefox on Android",
    "breed": "Ouled Djellal",
    "begins": "07:30:00",
    "code": "K7QM-2XWD-93HF",
    "country": "DZ",
    "currency": "EUR",
    "cursor": "WzQyXQ",
    "decision": "The animal was seen on both films; the second one counts.",
    "email": "amina@example.org",
    "entity": "sacrifice",
    "field": "animal_id",
    "grade": "A",
    "hint": "Check the address; it may belong to someone else.",
    "key": "receipt-2026-0412",
    "kind": "api",
    "language": "fr",
    "languages": "ar",
    "media_type": "video/mp4",
    "name": "Ahmed Benali",
    "note": "Say the names before the knife is seen.",
    "password": "correct horse battery staple",
    "pen": "B",
    "phone": "+213550123456",
    "pin": "482915",
    "reference": "QX7K2M",
    "refresh_token": "c2Vzc2lvbg.Zmlyc3Q",
    "role": "donor",
    "sex": "male",
    "species": "sheep",
    "spellings": "أحمد بن علي",
    "state": "paid",
    "tag": "DZ-0101",
    "template": "order_verified",
    "timezone": "Africa/Algiers",
    "token_type": "Bearer",
}
"""What a field says. Of a list, what is in it."""

NUMBERS = {"age_months": 14, "capacity": 1, "expires_in": 600, "latitude": 36.75, "limit": 100, "longitude": 3.06,
           "minor": 25_000, "per_hour": 60, "weight_g": 42_000}  # fmt: skip

FORMATS = {"date-time": "2026-05-27T07:30:00Z", "date": "2026-05-27", "binary": ""}

_NOUNS = {"key": "record", "of": "animal", "parent": "node", "user": "donor", "earlier": "video"}


def identity(noun: str) -> str:
    """The id of the one thing of its kind: of ``order`` wherever a field is about an order."""
    digest = hashlib.sha256(_NOUNS.get(noun, noun).encode()).digest()
    return str(UUID(bytes=b"\x01\x9e\x61\x0c\x3f\x40" + digest[6:16], version=4))


class Samples:
    """Examples for the schemas of a document."""

    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components

    def of(self, schema: dict[str, Any], name: str = "", owner: str = "") -> Any:
        """An example of ``schema``, which is that of the field ``name`` of the component ``owner``."""
        if reference := schema.get("$ref"):
            component = reference.rpartition("/")[2]
            return self.of(self._components[component], name, component)
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            real = next((choice for choice in choices if choice.get("type") != "null"), choices[0])
            return self.of({**real, **{k: v for k, v in schema.items() if k not in ("oneOf", "anyOf")}}, name, owner)
        if "const" in schema:
            return schema["const"]
        if allowed := schema.get("enum"):
            return WORDS[name] if name in WORDS and WORDS[name] in allowed else allowed[0]
        kinds = schema.get("type", "object")
        kind = next((one for one in kinds if one != "null"), "null") if isinstance(kinds, list) else kinds
        return getattr(self, f"_{kind}")(schema, name, owner)

    def _object(self, schema: dict[str, Any], name: str, owner: str) -> dict[str, Any]:
        return {field: self.of(told, field, owner) for field, told in schema.get("properties", {}).items()}

    def _array(self, schema: dict[str, Any], name: str, owner: str) -> list[Any]:
        if pieces := schema.get("prefixItems"):
            return [self.of(piece, name, owner) for piece in pieces]
        return [self.of(schema.get("items", {}), name, owner)]

    def _string(self, schema: dict[str, Any], name: str, owner: str) -> str:
        if schema.get("format") == "uuid":
            return identity(owner.lower().removeprefix("new") if name == "id" else name.removesuffix("_id"))
        if told := FORMATS.get(schema.get("format", "")):
            return told
        if schema.get("pattern") == "^[0-9a-f]{64}$" or name in ("sha256", "blob_id"):
            return hashlib.sha256(name.encode()).hexdigest()
        return str(WORDS.get(name, "text"[: schema.get("maxLength", 4)]))

    def _integer(self, schema: dict[str, Any], name: str, owner: str) -> int:
        return int(NUMBERS.get(name, schema.get("default", schema.get("minimum", 1))))

    def _number(self, schema: dict[str, Any], name: str, owner: str) -> float:
        return NUMBERS.get(name, schema.get("minimum", 0.5))

    def _boolean(self, schema: dict[str, Any], name: str, owner: str) -> bool:
        return bool(schema.get("default", False))

    def _null(self, schema: dict[str, Any], name: str, owner: str) -> None:
        return None
