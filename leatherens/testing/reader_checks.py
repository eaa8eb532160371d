"""What every reader must do: say what it knows, know nothing else, and give samples that are what they claim.

A folder of the reader's own layout shows more than an empty one: `On(GrainReader, folder)` brings it along.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from leatherens.core.listing import printable
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import GOOD, Collection, Reader, Sample
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import (
    LOWER_KEBAB,
    check_options_round_trip,
    check_unknown_option_refused,
)


@dataclass(frozen=True, slots=True)
class On:
    """A maker of readers that brings a folder of their layout along, for `parametrize_members`."""

    reader: Callable[[], Reader]
    folder: Path

    def __call__(self) -> Reader:
        """A new reader."""
        return self.reader()


def check_reader_declares_itself(trial: Bench) -> None:
    """The id is lower-kebab, title and shape are there for messages, and refined layouts are others."""
    kind = type(trial.make())
    trial.expect(
        LOWER_KEBAB.fullmatch(kind.id), f"the id must be lower-kebab like 'mvtec-ad', got {kind.id!r}"
    )
    for name in ("title", "shape"):
        said = getattr(kind, name, "")
        trial.expect(
            isinstance(said, str) and said.strip(), f"{name} must be words for messages, got {said!r}"
        )
    odd = [id for id in kind.refines if id != "*" and (not LOWER_KEBAB.fullmatch(id) or id == kind.id)]
    trial.expect(not odd, f"refines must name other layouts' ids, or '*' for all, got {odd}")
    trial.expect(not (kind.fallback and kind.refines), "a fallback is asked last and refines nothing")


def check_reader_knows_its_layout_only(trial: Bench) -> None:
    """Folders without images, and photographs without order, are not recognised; its own folder is."""
    reader = trial.make()
    with TemporaryDirectory() as name:
        for what, folder in _strange_folders(Path(name), reader.fallback).items():
            trial.expect(not reader.recognises(folder), f"{what} is recognised as {reader.title}")
        note = Path(name, "a note.txt")
        note.write_text("no list of images", encoding="utf-8")
        known = reader.takes_file and reader.recognises(note)
        trial.expect(not known, f"a file of text is recognised as {reader.title}")
    own = _own_folder(trial)
    trial.expect(own is None or reader.recognises(own), f"its own folder {own} is not recognised")


def _strange_folders(root: Path, fallback: bool) -> dict[str, Path]:
    """Folders that are nobody's, by what they are; any photographs at all are a fallback's."""
    (root / "empty").mkdir()
    (root / "text/train").mkdir(parents=True)
    (root / "text/train/notes.txt").write_text("nothing to see", encoding="utf-8")
    found = {"an empty folder": root / "empty", "a folder of text": root / "text"}
    if not fallback:
        (root / "photographs").mkdir()
        for number in range(3):
            pixels = numpy_generator(number, "photographs").integers(0, 256, (16, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "photographs" / f"{number}.png")
        found["a folder of three photographs"] = root / "photographs"
    return found


def check_reader_refuses_in_words(trial: Bench) -> None:
    """A folder that is not there, or holds nothing, is an `InputError` that names it."""
    reader = trial.make()
    with TemporaryDirectory() as name:
        missing, empty = Path(name, "missing"), Path(name, "empty")
        empty.mkdir()
        trial.expect_refused(lambda: reader.read(missing), "a missing folder", words=(str(missing),))
        trial.expect_refused(lambda: reader.read(empty), "an empty folder", words=(str(empty),))


def check_reader_gives_sound_samples(trial: Bench) -> None:
    """Of its own folder: parts sorted by ids that are paths, files that exist, masks of defects only."""
    found = _own_collection(trial)
    if found is None:
        return
    kind = type(trial.make())
    trial.expect(
        (found.layout, found.title) == (kind.id, kind.title),
        f"the collection is of '{found.layout}', '{found.title}'; expected the reader's own id and title",
    )
    for name in ("train", "validation", "test"):
        part: tuple[Sample, ...] = getattr(found, name)
        ids = [sample.id for sample in part]
        trial.expect(ids == sorted(ids), f"{name} is not sorted by id")
        odd = [s.id for s in part if name != "test" and s.defective is not False]
        trial.expect(not odd, f"{name} holds images that are not labelled good: {odd[:3]}")
    for sample in found.samples:
        fault = _fault(sample)
        trial.expect(not fault, f"{sample.id}: {fault}")


def _fault(sample: Sample) -> str:
    """What is wrong with a sample, as a clause."""
    if sample.id != printable(sample.id) or "\\" in sample.id or sample.id.startswith(("/", "../")):
        return "the id must be a printable path below the root, with /"
    gone = [path for path in (sample.path, *sample.masks) if not path.is_file()]
    if gone:
        return f"there is no file {gone[0]}"
    if sample.defective is False and (sample.masks or sample.defect != GOOD):
        return f"a good image has masks or the defect '{sample.defect}', expected none and '{GOOD}'"
    if sample.defective and (not sample.defect or sample.defect == GOOD):
        return f"a defective image has the defect '{sample.defect}', expected a kind"
    return ""


def check_reader_reads_the_same_again(trial: Bench) -> None:
    """Of its own folder: twice the same samples, the folder as it was, and nothing left open."""
    first, folder = _own_collection(trial), _own_folder(trial)
    if first is None or folder is None:
        return
    before = _listed(folder)
    again = trial.make().read(folder, learning=False)
    trial.expect(first == again, "read twice, a folder gives other samples")
    trial.expect(_listed(folder) == before, "reading changes the folder")


def _listed(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file below a folder, or of the file itself."""
    walk = [Path(where, name) for where, _, names in os.walk(folder) for name in names] or [folder]
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in walk)


def _own_folder(trial: Bench) -> Path | None:
    return trial.make.folder if isinstance(trial.make, On) else None


def _own_collection(trial: Bench) -> Collection | None:
    folder = _own_folder(trial)
    reader: Reader = trial.make()
    return None if folder is None else reader.read(folder, learning=False)


CHECKS = (
    check_options_round_trip,
    check_unknown_option_refused,
    check_reader_declares_itself,
    check_reader_knows_its_layout_only,
    check_reader_refuses_in_words,
    check_reader_gives_sound_samples,
    check_reader_reads_the_same_again,
)
