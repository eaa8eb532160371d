"""docs/write-a-detector.md is a transcript: typed again, from an empty folder, in a fresh environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from transcript import ROOT, Environment, Written, agree, steps

PAGE = ROOT / "docs" / "write-a-detector.md"

pytestmark = [
    pytest.mark.skipif(not PAGE.is_file(), reason="the tests run without the docs folder"),
    pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are those of a POSIX shell"),
]


def test_the_page_is_what_happens(tmp_path: Path) -> None:
    done = list(steps(PAGE.read_text(encoding="utf-8")))
    shell = Environment(tmp_path)
    for step in done:
        if isinstance(step, Written):
            shell.write(step)
            continue
        printed = shell.run(step.line)
        assert agree(step.printed, printed), f"$ {step.line}\n{printed}\n--- the page says:\n{step.printed}"

    lines = [step.line for step in done if not isinstance(step, Written)]
    assert [line.split()[0] for line in lines] == [
        *("leatherens", "cd", "pip", "leatherens", "leatherens", "pytest", "leatherens", "leatherens"),
    ]


def test_what_nobody_can_foresee_is_not_compared__and_all_else_is() -> None:
    page = "| | image AUROC | inference ms |\n|---|---|---|\n| padim | **91.1** | 56.6 |"

    assert agree(
        "✓ declarations  0.0 s\n...\n2 passed in 4.2 s", "✓ declarations  0.4 s\nmore\n2 passed in 9.9 s"
    )
    assert not agree("✓ declarations  0.0 s", "✗ declarations  0.0 s")
    assert agree(page, page.replace("56.6", "12.0").replace("**91.1**", "90.0"))
    assert not agree(page, page.replace("91.1", "80.0"))
    assert not agree(page, page.replace("padim", "padin"))
