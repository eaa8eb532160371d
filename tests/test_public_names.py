"""The public names are exactly `__all__`, and importing leatherens costs nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import leatherens

HEAVY = (
    "torch",
    "timm",
    "numpy",
    "pydantic",
    "scipy",
    "sklearn",
    "faiss",
    "matplotlib",
    "cv2",
    "PIL",
    "rich",
)


def imported_by(code: str) -> set[str]:
    """The heavy packages that are in `sys.modules` of a fresh interpreter after running `code`."""
    show = f"import sys; print('\\nIMPORTED', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("IMPORTED")[2].split())


def names_for_type_checkers() -> list[tuple[str, str]]:
    """(module, name) of each import under TYPE_CHECKING in leatherens/__init__.py."""
    tree = ast.parse(Path(leatherens.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    imports = [n for n in block.body if isinstance(n, ast.ImportFrom)]
    return [(node.module or "", alias.name) for node in imports for alias in node.names]


def test_all__is_sorted_and_the_same_in_its_three_places() -> None:
    assert leatherens.__all__ == sorted(leatherens.__all__)
    assert set(leatherens.__all__) == {"__version__", *leatherens._HOMES}
    assert {name: module for module, name in names_for_type_checkers()} == leatherens._HOMES


@pytest.mark.parametrize("name", sorted(leatherens._HOMES))
def test_name__is_what_its_module_defines(name: str) -> None:
    value = getattr(leatherens, name)

    assert value is getattr(sys.modules[leatherens._HOMES[name]], name)
    assert not isinstance(value, type) or value.__module__ == leatherens._HOMES[name]


def test_version__is_the_installed_one() -> None:
    assert leatherens.__version__ == metadata.version("leatherens")


def test_dir__shows_the_public_names() -> None:
    assert set(leatherens.__all__) <= set(dir(leatherens))


def test_unknown_name__is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'leatherens' has no attribute 'Detecter'$"):
        leatherens.Detecter  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import leatherens; leatherens.__version__, dir(leatherens)",
        "import leatherens; leatherens.PluginHost().plugins(); leatherens.hookimpl",
        "from leatherens.core import hookspecs, registry, host; import leatherens.plugins",
        "import leatherens.cli, leatherens.cli.plugins",
    ],
    ids=["package", "host", "modules", "cli"],
)
def test_import__brings_nothing_heavy(code: str) -> None:
    assert imported_by(code) == set()


def test_import_check__sees_what_it_looks_for() -> None:
    assert "pydantic" in imported_by("import leatherens; leatherens.Params")
