"""A table of images, for data that lie in no layout: one line an image."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.manifest import COLUMNS, listed_samples
from leatherens.core.reading import Collection, Folders, Reader, remarks_on
from leatherens.core.tables import CSV, JSON_LINES, read_table

NAMES = tuple(f"manifest{suffix}" for suffix in (CSV, JSON_LINES))


class ManifestReader(Reader):
    """`manifest.csv` or `manifest.jsonl` in a folder, or such a file of any name.

    The columns are those of `core.manifest`.
    """

    id = "manifest"
    title = "a manifest"
    shape = f"manifest.csv or manifest.jsonl with the columns {', '.join(COLUMNS)}, all but path optional"
    takes_file = True
    refines = ("*",)

    def recognises(self, root: Path) -> bool:
        """By the file's ending, or a file called manifest in a folder."""
        if root.is_file():
            return root.suffix.lower() in (CSV, JSON_LINES)
        return any((root / name).is_file() for name in NAMES)

    def _read(self, folders: Folders) -> Collection:
        path = folders.root if folders.root.is_file() else _manifest_in(folders.root)
        root = path.parent
        table = read_table(path, known=COLUMNS, required=("path",))
        found = listed_samples(table.rows, table=path, base=root, root=root)
        remarks = (*table.remarks, *found.remarks, *remarks_on((), found.test, ()))
        return Collection(root, self.id, self.title, found.train, found.test, remarks, found.validation)


def _manifest_in(root: Path) -> Path:
    found = [root / name for name in NAMES if (root / name).is_file()]
    if len(found) > 1:
        raise InputError(f"{root}: holds {' and '.join(NAMES)}; give one of the files instead of the folder")
    return found[0]
