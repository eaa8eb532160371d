"""Names of files in one folder, from paths in many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from leatherens.core.errors import InputError


def flat_names(paths: Sequence[str]) -> list[str]:
    """A file name for each posix path: its own, or where two would be the same, all with their folders.

    Names differ in more than their suffix and their case, so that `NAME_mask.png` belongs to one of them and
    no file system takes two for the same.

    >>> flat_names(["a/1.png", "b/2.png"]), flat_names(["a/1.png", "b/1.jpg"])
    (['1.png', '2.png'], ['a_1.png', 'b_1.jpg'])
    """
    own = [PurePosixPath(path).name for path in paths]
    names = own if _differ(own) else [path.strip("/").replace("/", "_") for path in paths]
    if not _differ(names):
        ((key, _),) = Counter(map(_key, names)).most_common(1)
        one, other, *_ = (path for name, path in zip(names, paths, strict=True) if _key(name) == key)
        raise InputError(f"{one} and {other} would get the same name in one folder; rename one")
    return names


def _differ(names: Sequence[str]) -> bool:
    return len({_key(name) for name in names}) == len(names)


def _key(name: str) -> str:
    return PurePosixPath(name).stem.casefold()
