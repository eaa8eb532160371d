"""Files of the VGG Image Annotator (VIA, Dutta and Zisserman 2019), versions 1 and 2, as CSV and as JSON.

CSV has a line for each region, of which the last six of seven columns never hold a bare comma: whatever
stands before them is the picture's name, which VIA does not quote. JSON is a map of pictures, alone or
inside a project (`_via_img_metadata`); version 1 keeps the regions of a picture in a map, too.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import InputError
from leatherens.core.labels.annotations import Annotated, Annotations, Pens, Region, corners, drawn
from leatherens.core.labels.shapes import Circle, Ellipse, Polygon, Rectangle, Shape
from leatherens.core.labels.values import listing, mapping, named_value, number, parse_json, shown

if TYPE_CHECKING:
    from leatherens.core.labels.exporting import Outlined

HEADER = (
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
)
ATTRIBUTE = "defect"
"""The region attribute that says the kind, in files written here."""

_LONGEST_CELL = 1 << 30  # characters: an outline of a large defect is longer than csv's 131072


def recognises_csv(text: str) -> bool:
    """Whether a text begins with VIA's header."""
    return text.lstrip("#\"' ").startswith(HEADER[0]) and HEADER[5] in text.split("\n", 1)[0]


def recognises(document: Any) -> bool:
    """Whether a JSON document is a VIA project or a map of annotated pictures."""
    if not isinstance(document, dict):
        return False
    pictures = document.values()
    return "_via_img_metadata" in document or (
        bool(pictures) and all(isinstance(entry, dict) and "regions" in entry for entry in pictures)
    )


def read(document: Any, path: Path, pens: Pens) -> Annotations:
    """The annotations of a JSON document."""
    if "_via_img_metadata" in document:
        title, pictures = (
            "a VIA project",
            mapping(document["_via_img_metadata"], f"{path}: _via_img_metadata"),
        )
    else:
        title, pictures = "VIA annotations (JSON)", document
    entries = []
    for key, value in pictures.items():
        picture = mapping(value, f"{path}: {key}")
        name = named_value(picture, "filename", f"{path}: {key}")
        if not isinstance(name, str):
            raise InputError(f"{path}: {key}: expected a file name, got {shown(name)}")
        regions = picture.get("regions", [])
        entries.append(
            (
                name,
                picture.get("size", -1),
                list(regions.values()) if isinstance(regions, dict) else listing(regions, f"{path}: {name}"),
            )
        )
    return Annotations(title, _pictures(entries, path, pens, _descriptions(document)))


def read_csv(text: str, path: Path, pens: Pens) -> Annotations:
    """The annotations of a CSV text."""
    entries: dict[tuple[str, str], list[Any]] = {}
    for line, cells in _lines(text, path):
        at = f"line {line}"
        name, size = ",".join(cells[:-6]), cells[-6]
        shape, attributes = (
            mapping(parse_json(cell or "{}", path, at), f"{path}: {at}") for cell in cells[-2:]
        )
        regions = entries.setdefault((name, size), [])
        if shape:
            regions.append({"shape_attributes": shape, "region_attributes": attributes})
    listed = [(name, size, regions) for (name, size), regions in entries.items()]
    return Annotations("VIA annotations (CSV)", _pictures(listed, path, pens, {}))


def _lines(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """The lines below the header with their numbers, each of seven cells or more."""
    separator = next((mark for mark in ",;\t" if HEADER[0] + mark in text.replace('"', "")[:99]), ",")
    found = []
    before = csv.field_size_limit(_LONGEST_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        found = [(lines.line_num, cells) for cells in lines if any(cells)]
    except csv.Error as error:
        raise InputError(
            f"{path}: line {lines.line_num}: damaged, not CSV ({error}); export the annotations again"
        ) from None
    finally:
        csv.field_size_limit(before)
    (_, header), *rest = found
    if tuple(cell.strip("# ") for cell in header) != HEADER:
        raise InputError(f"{path}: line 1: expected the columns {','.join(HEADER)}, got {','.join(header)}")
    for line, cells in rest:
        if len(cells) < len(HEADER):
            raise InputError(
                f"{path}: line {line}: expected {len(HEADER)} columns, got {len(cells)}; "
                "export the annotations again"
            )
    return rest


def _descriptions(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By attribute, what the project says of its options."""
    attributes = document.get("_via_attributes", {})
    regions = attributes.get("region", {}) if isinstance(attributes, dict) else {}
    return {
        attribute: settings["options"]
        for attribute, settings in (regions.items() if isinstance(regions, dict) else ())
        if isinstance(settings, dict) and isinstance(settings.get("options"), dict)
    }


def _pictures(
    entries: Sequence[tuple[str, Any, list[Any]]],
    path: Path,
    pens: Pens,
    descriptions: Mapping[str, Mapping[str, str]],
) -> tuple[Annotated, ...]:
    attribute = _attribute([region for _, _, regions in entries for region in regions], path, pens)
    pictures = []
    for name, size, regions in entries:
        found = []
        for index, value in enumerate(regions):
            what = f"{path}: {name}, region {index + 1}"
            region = mapping(value, what)
            shape = mapping(named_value(region, "shape_attributes", what), what)
            said = mapping(region.get("region_attributes") or {}, what).get(attribute, "")
            if shape:  # without one, only something was said of the picture
                kind = _kind(said, descriptions.get(attribute, {}), what)
                found.append(Region(_shape(shape, what, pens), kind))
        pictures.append(Annotated(name, tuple(found), bytes=_bytes(size, f"{path}: {name}")))
    return tuple(pictures)


def _bytes(size: Any, what: str) -> int | None:
    """The size of the picture's file, which VIA writes as a number or as text; -1 is unknown."""
    try:
        value = int(size)
    except (TypeError, ValueError):
        raise InputError(f"{what}: expected a file size in bytes, got {shown(size)}") from None
    return value if value >= 0 else None


def _attribute(regions: Sequence[Any], path: Path, pens: Pens) -> str:
    """The region attribute that says the kind."""
    known = sorted(
        {
            name
            for region in regions
            if isinstance(region, dict) and isinstance(region.get("region_attributes"), dict)
            for name in region["region_attributes"]
        }
    )
    if pens.attribute is not None:
        if regions and pens.attribute not in known:
            listed = f"attributes: {', '.join(known)}" if known else "they have none"
            raise InputError(f"{path}: no region has the attribute '{pens.attribute}' ({listed})")
        return pens.attribute
    if len(known) > 1:
        raise InputError(
            f"{path}: regions have several attributes ({', '.join(known)}); "
            "say with --attribute which one names the kind of defect"
        )
    return known[0] if known else ATTRIBUTE


def _kind(value: Any, descriptions: Mapping[str, str], what: str) -> str:
    """The kind an attribute says: a text, or the one box that is ticked."""
    if isinstance(value, dict):
        ticked = [option for option, on in value.items() if on]
        if len(ticked) > 1:
            raise InputError(f"{what}: {len(ticked)} kinds are ticked ({', '.join(ticked)}); tick one")
        value = ticked[0] if ticked else ""
    if not isinstance(value, str | int | float):
        raise InputError(f"{what}: expected a kind of defect, got {shown(value)}")
    kind = str(value)
    # VIA turns the categories of an imported COCO file into options called by their numbers.
    return str(descriptions.get(kind) or kind) if kind.isdigit() else kind


def _shape(attributes: Mapping[str, Any], what: str, pens: Pens) -> Shape:
    def value(key: str, least: float = float("-inf")) -> float:
        return number(named_value(dict(attributes), key, what), f"{what}: {key}", least=least)

    def points(least: int) -> list[tuple[float, float]]:
        xs, ys = (
            listing(named_value(dict(attributes), key, what), f"{what}: {key}")
            for key in ("all_points_x", "all_points_y")
        )
        if len(xs) != len(ys):
            raise InputError(f"{what}: {len(xs)} values of x and {len(ys)} of y; mend or delete the region")
        return corners(list(zip(xs, ys, strict=True)), what, least=least)

    shapes = {
        "rect": lambda: Rectangle.at(
            value("x"), value("y"), width=value("width", 0), height=value("height", 0)
        ),
        "circle": lambda: Circle.at(value("cx"), value("cy"), radius=value("r", 0)),
        "ellipse": lambda: Ellipse(
            value("cx"),
            value("cy"),
            value("rx", 0),
            value("ry", 0),
            value("theta") if attributes.get("theta") is not None else 0.0,
        ),
        "polygon": lambda: Polygon(points(3)),
        "polyline": lambda: pens.line(points(2), what),
        "point": lambda: pens.point(value("cx"), value("cy"), what),
    }
    return drawn(shapes, attributes.get("name"), what)


def written(pictures: Sequence[Outlined], root: Path) -> dict[str, Any]:
    """A VIA 2 project over pictures below `root`, which VIA opens with "Load project"."""
    kinds = sorted({picture.kind for picture in pictures if picture.outlines})
    entries = {f"{picture.name}{picture.bytes}": _entry(picture) for picture in pictures}
    options = {kind: kind for kind in kinds}
    attribute = {
        "type": "dropdown",
        "description": "kind of defect",
        "options": options,
        "default_options": {},
    }
    return {
        "_via_settings": {
            "core": {"default_filepath": f"{root.resolve().as_uri()}/"},
            "project": {"name": root.resolve().name},
        },
        "_via_img_metadata": entries,
        "_via_attributes": {"region": {ATTRIBUTE: attribute}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(entries),
    }


def _entry(picture: Outlined) -> dict[str, Any]:
    regions = [
        {"shape_attributes": shape, "region_attributes": {ATTRIBUTE: picture.kind}}
        for shape in _polygons(picture)
    ]
    return {"filename": picture.name, "size": picture.bytes, "regions": regions, "file_attributes": {}}


def _polygons(picture: Outlined) -> list[dict[str, Any]]:
    return [
        {
            "name": "polygon",
            "all_points_x": [x for x, _ in outline],
            "all_points_y": [y for _, y in outline],
        }
        for outline in picture.outlines
    ]


def written_csv(pictures: Sequence[Outlined]) -> str:
    """VIA annotations as CSV, which VIA adds with "Import annotations"."""
    lines = [",".join(HEADER)]
    for picture in pictures:
        shapes = _polygons(picture)
        attributes = {ATTRIBUTE: picture.kind}
        for index, shape in enumerate(shapes):
            numbers = f'{picture.bytes},"{{}}",{len(shapes)},{index}'
            lines.append(f"{picture.name},{numbers},{_cell(shape)},{_cell(attributes)}")
        if not shapes:
            lines.append(f'{picture.name},{picture.bytes},"{{}}",0,0,"{{}}","{{}}"')
    return "\n".join(lines) + "\n"


def _cell(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return '"' + text.replace('"', '""') + '"'
