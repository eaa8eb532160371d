"""The layouts of VisA (Zou et al., ECCV 2022): as it is published, and as its authors' script arranges it."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.divided import Divided
from leatherens.core.errors import InputError
from leatherens.core.manifest import listed_samples
from leatherens.core.reading import Collection, Folders, Reader, remarks_on
from leatherens.core.tables import Row, read_table

SPLIT = "split_csv/1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")
_PREPARED = "1cls"


class VisAReader(Reader):
    """One object: `Data/Images` and `Data/Masks`, dealt out by `split_csv/1cls.csv` beside it; or, in a
    folder called 1cls, `train/good`, `test/good`, `test/bad` and `ground_truth/bad`.

    Masks hold the number of the defect's kind; all numbers above 0 are defect.
    """

    id = "visa"
    title = "VisA"
    shape = f"OBJECT/Data/Images/Normal and Anomaly with {SPLIT} beside OBJECT, or 1cls/OBJECT"
    refines = ("mvtec-ad",)

    def recognises(self, root: Path) -> bool:
        """By `Data/Images/Normal`, or by the folder 1cls around it."""
        return _is_raw(root) or (root.resolve().parent.name == _PREPARED and (root / "train/good").is_dir())

    def _read(self, folders: Folders) -> Collection:
        return self._by_split(folders.root) if _is_raw(folders.root) else Divided().read(self, folders.root)

    def _by_split(self, root: Path) -> Collection:
        base = root.parent if root.name else root.resolve().parent
        path = base / SPLIT
        if not path.is_file():
            raise InputError(
                f"{root}: VisA's split is missing; put its authors' {SPLIT} into {base}, or write a manifest"
            )
        table = read_table(path, known=_COLUMNS, required=_COLUMNS)
        object_name = root.resolve().name
        rows = [_renamed(row) for row in table.rows if row.cells["object"] == object_name]
        if not rows:
            objects = ", ".join(sorted({str(row.cells["object"]) for row in table.rows}))
            raise InputError(f"{path}: has no object called '{object_name}' (objects: {objects})")
        found = listed_samples(rows, table=path, base=base, root=root)
        remarks = (*table.remarks, *found.remarks, *remarks_on((), found.test, ()))
        return Collection(root, self.id, self.title, found.train, found.test, remarks, found.validation)


def _is_raw(root: Path) -> bool:
    return (root / "Data" / "Images" / "Normal").is_dir()


def _renamed(row: Row) -> Row:
    """The row as a manifest has it."""
    kept = ("split", "label", "mask")
    cells = {"path": row.cells["image"], **{name: row.cells[name] for name in kept}}
    return Row(row.line, cells)
