"""docs/contract.md says what the code does: kinds, base classes, methods, names, and its example works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import leatherens
from leatherens.core.adoption import BASES, adopted, base_of
from leatherens.core.detector import FitContext
from leatherens.core.hookspecs import API_VERSION
from leatherens.core.types import ImageBatch
from leatherens.testing.stand_ins import WatchedImages, random_pool

PAGE = Path(__file__).parent.parent / "docs/contract.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the tests run without the docs folder")


def rows(header: str) -> list[list[str]]:
    """The cells of the table under this header."""
    table = PAGE.read_text(encoding="utf-8").split(header, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_page__names_the_version_there_is() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert f"This is version {API_VERSION} of the contract." in text
    assert f"leatherens_api = {API_VERSION}\n" in text


def test_page__has_every_kind_with_its_base_and_what_an_author_fills() -> None:
    kinds = rows("| kind | base class | an author fills | it is called by |")

    assert {kind: names(base) for kind, base, *_ in kinds} == {k: [n] for k, (_, n) in BASES.items()}
    for kind, _, filled, called in kinds:
        base: Any = base_of(kind)
        abstract = sorted(base.__abstractmethods__)
        assert [name for name in names(filled) if name in abstract] == abstract, kind
        assert [name for name in (*names(filled), *names(called)) if not hasattr(base, name)] == [], kind


def test_page__tells_only_of_what_each_kind_has() -> None:
    """Under "may fill besides"; _fit_against of a head and lessons of a fusion are names like any."""
    text = PAGE.read_text(encoding="utf-8").split("What each may fill besides:")[1].split("\n## ")[0]
    told = {m[1]: names(m[2]) for m in re.finditer(r"- \*\*(\w+)\*\*: (.*?)(?=\n- |\n\n)", text, re.DOTALL)}
    bases = {name: base_of(kind) for kind, (_, name) in BASES.items()}

    types = {"Effort", "title", "shape"}  # a type, and what is only annotated
    lacking = {
        (kind, name)
        for kind, found in told.items()
        for name in found
        if name not in types and not hasattr(bases[kind], name)
    }
    assert lacking == set()


def test_page__lists_names_that_are_public_and_all_that_plugins_need() -> None:
    told = {name for _, cell in rows("| for | names |") for name in names(cell)}

    assert told <= set(leatherens.__all__)
    assert {name for _, name in BASES.values()} <= told


def test_example__of_the_page_is_a_detector() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    content: dict[str, Any] = {"__name__": "the_page"}
    exec(compile(code, str(PAGE), "exec"), content)
    batch = ImageBatch(torch.rand(2, 3, 40, 48), ("a", "b"))
    pool, source = random_pool(), WatchedImages(batch)

    member: Any = adopted(content["Colour"], "detectors")()
    member.fit(source, validation=source, context=FitContext(pool))

    assert member.observe(batch, pool.pyramids(batch, [])).scores.image.shape == (2,)
