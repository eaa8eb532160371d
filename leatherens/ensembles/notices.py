"""What metrics.json, report.html and run.json say of a run that was changed since they were written.

They tell of the run as it was made. While an entry is in force they say so in their first lines; the
originals lie in `history/original/` and come back, byte for byte, with the run as it was made.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from leatherens.core.artifact import read_json, write_json, write_text, written_whole
from leatherens.core.errors import ArtifactError
from leatherens.ensembles.facts import CHANGED_FORMAT
from leatherens.ensembles.history import Entry, History


def refresh_notices(history: History, say: Callable[[str], None]) -> None:
    """Bring the notices in line with the entry in force. Whoever calls holds the run's lock.

    What is in force does not depend on them: that they cannot be written is said, not raised.
    """
    try:
        _refresh(history)
    except (ArtifactError, OSError) as error:
        say(f"{error}. The entry is in force, but metrics, report and run.json do not say so")


def _refresh(history: History) -> None:
    lineage = history.lineage()
    run = history.run.path
    for name, write in _NOTED.items():
        original = run / "history" / "original" / name
        if lineage:
            _keep(run / name, original)
        if not original.exists():
            continue
        if lineage:
            write(original, run / name, _sentence(lineage[-1], len(lineage)))
        else:
            _put_back(original, run / name)


def _sentence(last: Entry, count: int) -> str:
    more = f" (and {count - 1} before it)" if count > 1 else ""
    return (
        f"The run was changed since these results: {last.sentence}, entry {last.number}{more}. They "
        "are those of the run as it was made; measure it as it is now with leatherens evaluate."
    )


def _keep(file: Path, original: Path) -> None:
    """A second name for a file that is about to be replaced, or a copy where links cannot be made."""
    if original.exists() or not file.exists():
        return
    original.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, original)
    except OSError:
        with written_whole(original) as beside:
            shutil.copyfile(file, beside)


def _put_back(original: Path, file: Path) -> None:
    with written_whole(file) as beside:
        shutil.copyfile(original, beside)


def _in_metrics(original: Path, file: Path, sentence: str) -> None:
    write_json(file, {"changed_since": sentence, **read_json(original)})


def _in_facts(original: Path, file: Path, sentence: str) -> None:
    facts = read_json(original)
    write_json(file, {**facts, "format": CHANGED_FORMAT, "remarks": [sentence, *facts.get("remarks", [])]})


def _in_report(original: Path, file: Path, sentence: str) -> None:
    page = original.read_text(encoding="utf-8")
    notice = f'<p role="note" style="padding:1em;border:2px solid currentColor">{html.escape(sentence)}</p>'
    write_text(file, re.sub(r"<body[^>]*>", lambda body: f"{body[0]}\n{notice}", page, count=1))


_NOTED: Mapping[str, Callable[[Path, Path, str], None]] = {
    "metrics.json": _in_metrics,
    "run.json": _in_facts,
    "report.html": _in_report,
}
