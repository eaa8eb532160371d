"""Scenarios that each break one promise, named for their sin."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.scenario import Scenario

ABOUT = "about: {title: Grain, use: For grain., avoid: Else., cost: Little.}\n"

SINS = {
    "keeps-the-contract": ("", f"{ABOUT}members: [padim]\n"),
    "CalledByItsClass": ("declares_itself: the id must be lower-kebab", f"{ABOUT}members: [padim]\n"),
    "says-nothing": ("declares_itself: the file says nothing of itself", "members: [padim]\n"),
    "leaves-use-empty": (
        "declares_itself: about: use is empty",
        "about: {title: Grain, use: ' ', avoid: Else., cost: Little.}\nmembers: [padim]\n",
    ),
    "is-not-yaml": ("declares_itself: its file cannot be read", "members: [padim\n"),
    "has-no-members": ("recipe_can_be_made: its recipe cannot be made", ABOUT),
    "names-what-there-is-not": ("recipe_can_be_made: no detector 'padin'", f"{ABOUT}members: [padin]\n"),
    "misspells-an-option": (
        "recipe_can_be_made: unknown option 'dimension'",
        f"{ABOUT}members: {{padim: {{dimension: 3}}}}\n",
    ),
    "boasts": (
        "measurements_can_be_repeated: no command is named",
        "about:\n  {title: Grain, use: For grain., avoid: Else., cost: Little., measured: "
        "[{data: mine, command: trust me, scores: {image_auroc: 1.0}}]}\nmembers: [padim]\n",
    ),
}
"""By id: what must be found, and what the file says."""


def scenario(folder: Path, id: str) -> type[Scenario]:
    """One of them, its file in a folder."""
    file = folder / f"{id}.yaml"
    file.write_text(SINS[id][1], encoding="utf-8")
    return Scenario.around(id, file)
