"""Kinds of plugins as people type them: `score-fusion`, and as hooks are named: `score_fusions`."""

from __future__ import annotations

from typing import Any

import click

from leatherens.core.errors import did_you_mean
from leatherens.core.host import KINDS
from leatherens.core.registry import noun


def typed(kind: str) -> str:
    """One thing of a kind, as it is typed.

    >>> typed("score_fusions")
    'score-fusion'
    """
    return noun(kind).replace(" ", "-")


class Kind(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer click only
    """One of these kinds; the value is as hooks name it."""

    name = "kind"

    def __init__(self, kinds: tuple[str, ...] = KINDS) -> None:
        self.kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`score-fusion`, `score-fusions` and `score_fusions` are one."""
        asked = str(value).lower().replace("-", "_").removesuffix("s")
        for kind in self.kinds:
            if asked == kind.removesuffix("s"):
                return kind
        names = [typed(kind) for kind in self.kinds]
        hint = did_you_mean(str(value), names)
        raise click.BadParameter(f"no kind '{value}'{hint} (kinds: {', '.join(names)})", ctx=ctx, param=param)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What the help shows."""
        return "KIND"
