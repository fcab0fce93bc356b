"""The arrows of the house: who may import whom, read from every import, late ones included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "shared": set(),
    "sync": {"shared"},
    "models_tflite": {"shared"},
    "edge": {"sync", "models_tflite", "shared"},
    "cloud": {"sync", "models_tflite", "shared"},
    "demo": {"shared"},
    "benchmarks": {"edge", "cloud", "sync", "models_tflite", "shared", "demo"},
    "commands": {"edge", "cloud", "sync", "models_tflite", "shared", "demo", "benchmarks"},
    "qurbani": {"commands", "shared"},
}

# Inside the cloud a service asks only downward, and only through another's service.py.
# Who wires everything (main), applies ops (apply) or migrates stands above the services.
STOREYS = [
    {"main", "health", "alembic", "apply", "pages"},
    {"admin", "privacy"},
    {"notifications"},
    {"guests"},
    {"delivery", "skins"},
    {"processing"},
    {"uploads"},
    {"executors"},
    {"donors"},
    {"gateway"},
    {"auth", "storage"},
    {"platform"},
]
STOREY = {service: level for level, services in enumerate(STOREYS) for service in services}
DOORS = {"service"}
"""What other services may import of a service. The platform and storage are libraries: all of them is open."""


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, wherever it stands in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            else:
                # `from cloud import donors` imports cloud.donors as much as `import cloud.donors` does.
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _is_late_import(node):
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, argument.value


def _is_late_import(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in {"import_module", "__import__"}


def complaints(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of one file; ``path`` is relative to the root."""
    parts = path.with_suffix("").parts
    package = parts[0]
    found = []
    for line, module in imports(source):
        target = module.split(".")
        where = f"{path}:{line}: imports {module}"
        if module.startswith("."):
            found.append(f"{where}: write it out in full")
        elif target[0] in ALLOWED and target[0] != package and target[0] not in ALLOWED[package]:
            found.append(f"{where}: {package} may not import {target[0]}")
        elif package == target[0] == "cloud" and len(parts) > 1 and len(target) > 1:
            found.extend(f"{where}: {why}" for why in _inside_cloud(parts, target))
    return found


def _inside_cloud(parts: tuple[str, ...], target: list[str]) -> Iterator[str]:
    here, there = parts[1], target[1]
    if here == there or STOREY.get(here) == 0:
        return
    if here not in STOREY or there not in STOREY:
        yield f"give cloud.{here if here not in STOREY else there} a storey in this test"
    elif STOREY[there] <= STOREY[here]:
        yield f"{here} may not ask {there}, which is not below it"
    elif there not in {"platform", "storage"} and (len(target) < 3 or target[2] not in DOORS):
        yield f"ask {there} through its service.py"


def sources() -> list[Path]:
    packages = [path for path in ROOT.iterdir() if path.is_dir() and path.name in ALLOWED]
    files = [path for package in packages for path in package.rglob("*.py")]
    return [path.relative_to(ROOT) for path in [*files, ROOT / "qurbani.py"]]


def test_every_import_follows_the_arrows() -> None:
    found = [line for path in sources() for line in complaints(path, (ROOT / path).read_text())]
    assert not found, "\n".join(found)


def test_every_package_is_on_the_plan() -> None:
    """A new top-level package must be given its arrows here."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= ALLOWED.keys()


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("shared/ids.py", "import sync"),
        ("shared/ids.py", "def late():\n    from edge import db"),
        ("sync/merge.py", "from cloud.platform import database"),
        ("edge/agent.py", "import cloud.main"),
        ("edge/agent.py", "def late():\n    importlib.import_module('cloud')"),
        ("cloud/apply/service.py", "import edge"),
        ("demo/story.py", "from edge import main"),
        ("cloud/donors/service.py", "from cloud.uploads import service"),
        ("cloud/uploads/service.py", "from cloud.donors.models import Order"),
        ("cloud/uploads/service.py", "from cloud.donors import models"),
        ("cloud/delivery/service.py", "from cloud.skins import service"),
        ("cloud/donors/service.py", "from ..auth import service"),
        ("qurbani.py", "import edge"),
    ],
)
def test_a_forbidden_arrow_is_seen(file: str, source: str) -> None:
    assert complaints(Path(file), source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("edge/agent.py", "from sync import session"),
        ("cloud/uploads/service.py", "from cloud.donors import service"),
        ("cloud/uploads/service.py", "from cloud.platform.outbox import publish"),
        ("cloud/main.py", "from cloud.uploads.routes import ROUTES"),
        ("commands/edge.py", "from edge import main"),
    ],
)
def test_an_allowed_arrow_is_left_alone(file: str, source: str) -> None:
    assert not complaints(Path(file), source)
