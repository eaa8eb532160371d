"""The script of the page: the files of `script/` as one text, with the hash by which it alone is allowed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

FILES = (
    "wilson.js",
    "thresholds.js",
    "outlines.js",
    "gallery.js",
    "address.js",
    "layers.js",
    "lightbox.js",
    "zoom.js",
    "full_size.js",
    "start.js",
)
"""In the order in which they define what the next ones use."""


@dataclass(frozen=True, slots=True)
class Script:
    """The text between the script tags, and its source expression in a Content-Security-Policy."""

    text: Markup
    allowed: str


def page_script() -> Script:
    """The script, a function of its own so that it leaves no name behind; it holds nothing of the run."""
    folder = files(__package__) / "script"
    parts = "\n".join((folder / name).read_text(encoding="utf-8") for name in FILES)
    text = f'\n"use strict";\n(() => {{\n{parts}}})();\n'
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return Script(Markup(text), f"'sha256-{digest}'")
