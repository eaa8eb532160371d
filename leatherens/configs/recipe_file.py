"""Recipes by name or file: what they extend is read first, and every mistake names its file and line.

A file that extends another says what differs: a mapping of members adds or changes some, a list says which
there are, a part under the same id keeps the options that are not said anew, and `null` takes a key back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leatherens.configs.recipe import Recipe
from leatherens.configs.written import CHOICES, Masking, with_mask, with_usual_parts, written_out
from leatherens.core.errors import ConfigError, UnknownPlugin, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.params import parse_params
from leatherens.core.scenario import About
from leatherens.core.yaml_file import Keys, read_yaml

SUFFIXES = (".yaml", ".yml")

STORED = "recipe.yaml"
"""The file of a run's recipe in its folder, which may be named in its place."""


class Own(Masking):
    """The keys of a recipe file that are no recipe's."""

    extends: str | None = None
    about: About | None = None


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe as its file and those it extends say it.

    name: the scenario's id, or the file. content: keys of a `Recipe`, nothing in short, paths absolute.
    places: file and line of every key, as it was written. about: the file's own, not what it extends says.
    files: it, and those it extends in turn.
    """

    name: str
    content: Mapping[str, Any]
    places: Mapping[Keys, str]
    about: About | None
    files: tuple[Path, ...]

    def where(self, way: Sequence[str]) -> str:
        """File and line of the nearest key on the way to a value, as a message begins."""
        for end in range(len(way), 0, -1):
            for keys in _spellings(tuple(way[:end])):
                if keys in self.places:
                    return self.places[keys]
        return str(self.files[0])

    @property
    def recipe(self) -> Recipe:
        """The recipe, if nothing is to be said besides."""
        return parse_params(Recipe, self.content, owner=self.where)


def read_recipe_file(name: str | Path, host: PluginHost) -> RecipeFile:
    """A recipe by the id of a scenario, by its file, or by the folder of a run."""
    path = _found(str(name), host, Path())
    read = _read(path, host, ())
    found = replace(read, name=str(path) if _is_file(str(name)) else str(name))
    _refuse_unknown(found)
    members = found.content.get("members")
    checked = {**found.content, "members": {"any": {}} if members is None else members}
    parse_params(Recipe, checked, owner=found.where)
    return found


def _is_file(name: str) -> bool:
    """Whether a name means a file or a folder and no scenario."""
    return name.endswith(SUFFIXES) or "/" in name or "\\" in name or (Path(name) / STORED).is_file()


def _found(name: str, host: PluginHost, beside: Path) -> Path:
    """The file that a name means; relative ones lie in the folder `beside`."""
    if (beside / name / STORED).is_file():
        return beside / name / STORED
    if _is_file(name):
        if not (beside / name).is_file():
            raise ConfigError(f"{beside / name}: no such recipe file; check the name")
        return beside / name
    try:
        return host.scenarios().load(name).file
    except UnknownPlugin as error:
        known, hint = ", ".join(error.candidates), did_you_mean(name, error.candidates)
        raise ConfigError(
            f"no scenario is called '{name}'{hint} (scenarios: {known}; a file is named with .yaml)"
        ) from None


def _read(path: Path, host: PluginHost, through: tuple[Path, ...]) -> RecipeFile:
    """A file joined with what it extends; through: the files that led to it, each extending the next."""
    path = path.resolve()
    if path in through:
        circle = " which extends ".join(str(file) for file in (*through[through.index(path) :], path))
        raise ConfigError(f"{circle}: a recipe cannot extend itself; remove one 'extends'")
    written = read_yaml(path)
    places = {keys: f"{path}, line {line}" for keys, line in written.lines.items()}

    def where(way: tuple[str, ...]) -> str:
        ends = (way[:end] for end in range(len(way), 0, -1))
        return next((places[keys] for keys in ends if keys in places), str(path))

    own = parse_params(Own, {k: v for k, v in written.content.items() if k in Own.model_fields}, owner=where)
    said = {key: value for key, value in written.content.items() if key not in Own.model_fields}
    below = RecipeFile("", {}, {}, None, ())
    if own.extends is not None:
        try:
            base = _found(own.extends, host, path.parent)
        except ConfigError as error:
            raise ConfigError(f"{where(('extends',))}: extends: {error}") from None
        below = _read(base, host, (*through, path))
    listed = isinstance(said.get("members"), list)
    content = _joined(below.content, written_out(said, path.parent, where(("members",))), only=listed)
    masked = with_mask(content, own.model_dump(include=set(Masking.model_fields)), path.parent, where)
    content = with_usual_parts(masked)
    if "tile" in content and "size" not in content:
        content["size"] = content["tile"]
    return RecipeFile("", content, {**below.places, **places}, own.about, (path, *below.files))


def _joined(base: Mapping[str, Any], own: Mapping[str, Any], *, only: bool) -> dict[str, Any]:
    """What a file says over what it extends; only: no other members than its own."""
    found = dict(base)
    for key, value in own.items():
        before = found.get(key)
        if value is None:
            found.pop(key, None)
        elif key == "members" and isinstance(value, Mapping) and isinstance(before, Mapping):
            kept = {} if only else before
            found[key] = {**kept, **{id: _one(before.get(id), said) for id, said in value.items()}}
        elif key in CHOICES:
            found[key] = _part(before, value)
        else:
            found[key] = value
    return found


def _part(before: object, said: object) -> object:
    """A part over the one before: under another id it begins anew."""
    if not isinstance(before, Mapping) or not isinstance(said, Mapping):
        return said
    same = said.get("id", before.get("id")) == before.get("id")
    return _one(before, said) if same else said


def _one(before: object, said: object) -> object:
    """A member or part whose options are joined key by key."""
    if not isinstance(before, Mapping) or not isinstance(said, Mapping):
        return said
    options = (before.get("options", {}), said.get("options", {}))
    if not all(isinstance(given, Mapping) for given in options):
        return said
    merged = {**options[0], **options[1]}
    return {**before, **said, **({"options": merged} if merged else {})}


def _refuse_unknown(found: RecipeFile) -> None:
    """Every key that is none of a recipe file, with its line."""
    known = sorted({*Recipe.model_fields, *Own.model_fields})
    sentences = [
        f"{found.where((str(key),))}: unknown key '{key}'{did_you_mean(str(key), known)} "
        f"(keys: {', '.join(known)})"
        for key in found.content
        if key not in known
    ]
    if sentences:
        raise ConfigError("\n".join(sentences))


def _spellings(way: Keys) -> Iterator[Keys]:
    """A way as a recipe has it, and as a file may say it in short."""
    yield way
    if "options" in way:
        at = way.index("options")
        yield way[:at] + way[at + 1 :]
