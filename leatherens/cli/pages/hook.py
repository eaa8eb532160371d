"""The page of one hook: its signature, and what is registered through it or when it is called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from leatherens.cli.kinds import typed
from leatherens.cli.pages.plugin import MADE, path_of
from leatherens.core import hookspecs
from leatherens.core.adoption import base_of
from leatherens.core.hookspecs import OBSERVER_HOOKS
from leatherens.core.host import KINDS, PluginHost
from leatherens.core.registry import noun

_TOOLS = ("gather", "positions", "checked")


def hook_path(hook: str) -> PurePosixPath:
    """Where the page lies below the folder of all."""
    return PurePosixPath("hooks", f"{hook}.md")


def signature(hook: str) -> str:
    """As an implementation declares it.

    >>> signature("register_heads")
    'register_heads(register)'
    """
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    return f"{hook}({arguments})"


def hook_page(host: PluginHost, hook: str) -> str:
    """The page of one hook; `host` offers what it lists."""
    if hook in OBSERVER_HOOKS:
        return _observer_page(hook)
    kind = hook.removeprefix("register_")
    sections = [
        [f"# `{signature(hook)}`"],
        [f"{inspect.cleandoc(getattr(hookspecs, hook).__doc__ or '')} {MADE}"],
        ["## Example"],
        _example(hook, kind),
        ["## What there is"],
        ["| id | what it is |", "| --- | --- |", *_offered(host, kind, "../")],
        *_base(kind),
        ["## Checks"],
        [f"`leatherens plugins check ID --kind {typed(kind)}` runs these on a class, registered or not:"],
        list(_checks(kind)),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _observer_page(hook: str) -> str:
    """The page of a hook that tells of a run."""
    what, _, arguments = inspect.cleandoc(getattr(hookspecs, hook).__doc__ or "").partition("\n\n")
    typed_as = "\n".join(f"    {p}," for p in _parameters(hook))
    sections = [
        [f"# `{signature(hook)}`"],
        [f"{what} {MADE}"],
        [
            "Every plugin that implements it is told, and so are the methods of this name of the trackers "
            "that a run was asked for ([trackers](../trackers.md)). Each observer gets values of its own."
        ],
        ["## Arguments"],
        ["```text", f"{hook}(", typed_as, ")", "```"],
        [_listed(arguments)],
        ["## Example"],
        ["An implementation takes those arguments that it wants:"],
        [
            "```python",
            "from leatherens import hookimpl",
            "",
            "leatherens_api = 1",
            "",
            "",
            "@hookimpl",
            f"def {hook}({', '.join(inspect.signature(getattr(hookspecs, hook)).parameters)}):",
            f'    print("{hook}", folder.name)',
            "```",
        ],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _parameters(hook: str) -> list[str]:
    """Arguments with their types, as they stand in the code."""
    found = inspect.signature(getattr(hookspecs, hook)).parameters.values()
    return [f"{p.name}: {p.annotation}" for p in found]


def index_page(host: PluginHost) -> str:
    """All plugins by kind, each with its page."""
    sections = [["# All plugins"], [f"One page each. {MADE}"]]
    for kind in KINDS:
        title = noun(kind)
        sections += [
            [f"## {title[:1].upper()}{title[1:]}s"],
            [f"Through the hook [`{signature(f'register_{kind}')}`](../{hook_path(f'register_{kind}')})."],
            ["| id | what it is |", "| --- | --- |", *_offered(host, kind, "")],
        ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _example(hook: str, kind: str) -> list[str]:
    id, target = f"my-{typed(kind)}", f"my_package:My{noun(kind).title().replace(' ', '')}"
    if kind == "scenarios":
        target = f"my_package:scenarios/{id}.yaml"
    return [
        "```python",
        "from leatherens import hookimpl",
        "",
        "leatherens_api = 1",
        "",
        "",
        "@hookimpl",
        f"def {signature(hook)}:",
        f'    register("{id}", "{target}", summary="what it is, in a few words")',
        "```",
    ]


def _offered(host: PluginHost, kind: str, up: str) -> Iterator[str]:
    """Rows of a table, their links from a folder `up` of which the pages lie in `plugins`, or from there."""
    for entry in host.registry(kind).entries:
        path = path_of(entry) if up else path_of(entry).relative_to("plugins")
        yield f"| [`{entry.id}`]({up}{path}) | {entry.summary} |"


def _base(kind: str) -> Iterator[list[str]]:
    """What the base class asks for and offers."""
    base = base_of(kind)
    yield ["## The class"]
    yield [f"It derives from `{base.__module__}.{base.__name__}`:"]
    yield [_listed(inspect.cleandoc(base.__doc__ or ""))]
    members = {name: value for name, value in vars(base).items() if _is_function(value)}
    parts = {
        "It must fill": [n for n, v in members.items() if getattr(v, "__isabstractmethod__", False)],
        "It may fill": [n for n, v in members.items() if _may_be_filled(n, v)],
        "Called on it": [n for n, v in members.items() if getattr(v, "__final__", False)],
    }
    for title, names in parts.items():
        if names:
            yield [f"{title}:"]
            yield [_member(name, members[name]) for name in names]


def _listed(text: str) -> str:
    """A docstring whose lines "name: meaning" are a list.

    >>> _listed("learns: whether.\\nby_parts, whole: which.")
    '- `learns`: whether.\\n- `by_parts`, `whole`: which.'
    """

    def bullet(found: re.Match[str]) -> str:
        names = ", ".join(f"`{name}`" for name in found[1].split(", "))
        return f"- {names}:"

    return re.sub(r"(?m)^([a-z_]+(?:, [a-z_]+)*):(?= )", bullet, text)


def _is_function(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod)


def _plain(value: Any) -> Any:
    """The function behind a property or a class method."""
    return value.fget if isinstance(value, property) else getattr(value, "__func__", value)


def _may_be_filled(name: str, value: Any) -> bool:
    fixed = getattr(value, "__isabstractmethod__", False) or getattr(_plain(value), "__final__", False)
    return not (fixed or name in _TOOLS or name.startswith("__")) and bool(_plain(value).__doc__)


def _member(name: str, value: Any) -> str:
    function = _plain(value)
    text = " ".join(inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].split())
    said = f"`{name}{'' if isinstance(value, property) else _arguments(function)}`"
    return f"- {said}: {text}" if text else f"- {said}"


def _arguments(function: Any) -> str:
    """The signature without `self` and without quotes around the annotations."""
    found = inspect.signature(function)
    kept = [p for n, p in found.parameters.items() if n not in ("self", "cls")]
    return re.sub(r"(: |-> )(['\"])(.*?)\2", r"\1\3", str(found.replace(parameters=kept)))


def _checks(kind: str) -> Iterator[str]:
    from leatherens.testing.checks import CHECKS
    from leatherens.testing.kit import first_sentence

    for name, check in CHECKS[kind].items():
        yield f"- `{name}`: {first_sentence(check)}"
