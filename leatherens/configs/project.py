"""A project: several views of the same parts, each with a recipe of its own, in one YAML file.

```yaml
data: photographs            # relative to this file
members: [padim, stfpm]      # any key of a recipe holds for all views
false_alarms: 0.02           # of parts
views:
  A: {}
  B: {members: [stfpm], ignore: masks/B.png}   # or differs in one of them
```

The resolved project, which each one made stores, writes every view's recipe out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from leatherens.configs.recipe import PLACES, Recipe, read_recipe_content
from leatherens.core.artifact import write_text
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.params import Params, parse_params
from leatherens.core.views import ViewOf, Views

FALSE_ALARMS = 0.01
"""Of good parts, asked for where a project says nothing."""

MASK = "mask"
"""The step that `ignore` adds to a preparation."""

_CHOICES = ("block", "head", "score_fusion", "calibrator", "threshold")


class ViewChoice(Params):
    """One view: its recipe, and where its images are if not with the others."""

    recipe: Recipe
    data: str | None = None
    layout: str | None = None
    files: str | None = None


class Project(Params):
    """What a project does.

    data, layout: of all views that have none of their own. parts: see `Views`. false_alarms: share of good
    parts that may be flagged. seed: decides which part has which job.
    """

    views: dict[str, ViewChoice]
    data: str | None = None
    layout: str | None = None
    parts: str | None = None
    false_alarms: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: int = 0

    @property
    def told_by(self) -> Views:
        """How views and parts are told apart."""
        files = {name: view.files for name, view in self.views.items() if view.files is not None}
        return Views(names=tuple(self.views), files=files, parts=self.parts)

    def share(self, name: str) -> ViewOf:
        """Which images of the data that a view reads are its own."""
        view = self.views[name]
        return ViewOf(name=name, own=view.data is not None and view.files is None, among=self.told_by)

    def with_recipes(self, recipes: Mapping[str, Recipe]) -> Project:
        """The same project with other recipes of its views."""
        views = {name: view.model_copy(update={"recipe": recipes[name]}) for name, view in self.views.items()}
        return self.model_copy(update={"views": views})


class _Keys(Params):
    """The keys of a project file that are no recipe's."""

    views: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    data: str | None = None
    layout: str | None = None
    parts: str | None = None
    false_alarms: Annotated[float, Field(gt=0, lt=1)] | None = None


class _ViewKeys(Params):
    """The keys of a view that are no recipe's."""

    data: str | None = None
    layout: str | None = None
    files: str | None = None


class _Masking(Params):
    """A mask step in short, for all views or for one."""

    ignore: str | None = None
    masking: Literal["before", "after"] | None = None


def read_project(path: Path) -> Project:
    """A project from its file; a `ConfigError` names the file, the view and every wrong key.

    Relative paths mean the file's folder.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such project file; check the name")
    content, base = dict(read_recipe_content(path)), path.resolve().parent
    _refuse_unknown(content, (_Keys, _Masking, Recipe), str(path))
    keys = parse_params(_Keys, _named_views(_only(content, _Keys)), owner=str(path))
    common = _only(content, Recipe, _Masking)
    _check_common(common, base, str(path))
    views = {name: _view(name, own, common, base, str(path)) for name, own in keys.views.items()}
    if keys.data is None and (homeless := [name for name, view in views.items() if view.data is None]):
        raise ConfigError(f"{path}: view '{homeless[0]}' has no data; give data for all views, or its own")
    top = keys.model_dump(exclude={"views"}) | {"data": _absolute(keys.data, base)}
    files = {name: view.files for name, view in views.items() if view.files is not None}
    parse_params(Views, {"names": tuple(views), "files": files, "parts": keys.parts}, owner=f"{path}: views")
    return Project(views=views, seed=common.get("seed") or 0, **top)


def write_project(path: Path, project: Project) -> None:
    """Write a project as YAML, whole, every view's recipe written out."""
    import yaml

    content = project.model_dump(mode="json", exclude={"views"}, exclude_none=True)
    content["views"] = {
        name: {
            **view.model_dump(mode="json", exclude={"recipe"}, exclude_none=True),
            **view.recipe.model_dump(mode="json"),
        }
        for name, view in project.views.items()
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def what_is_done(path: Path) -> dict[str, Any]:
    """What a project file says, less where to compute and where weights lie."""
    content = dict(read_recipe_content(path))
    views = content.get("views")
    if isinstance(views, Mapping):
        content["views"] = {name: _without_places(view) for name, view in views.items()}
    return content


def _without_places(view: object) -> object:
    if not isinstance(view, Mapping):
        return view
    return {key: value for key, value in view.items() if key not in PLACES}


def _only(content: Mapping[str, Any], *schemas: type[Params]) -> dict[str, Any]:
    return {
        key: value for key, value in content.items() if any(key in schema.model_fields for schema in schemas)
    }


def _refuse_unknown(content: Mapping[Any, Any], schemas: Sequence[type[Params]], owner: str) -> None:
    known = sorted({key for schema in schemas for key in schema.model_fields})
    sentences = [
        f"{owner}: unknown key '{key}'{did_you_mean(str(key), known)} (keys: {', '.join(known)})"
        for key in content
        if key not in known
    ]
    if sentences:
        raise ConfigError("\n".join(sentences))


def _named_views(content: dict[str, Any]) -> dict[str, Any]:
    """A view called 1 is a number in YAML, and one that differs in nothing is empty."""
    views = content.get("views")
    if not isinstance(views, Mapping):
        return content
    names = {key: str(key) if isinstance(key, int) else key for key in views}
    return content | {"views": {names[key]: {} if own is None else own for key, own in views.items()}}


def _check_common(common: Mapping[str, Any], base: Path, owner: str) -> None:
    """A mistake in what holds for all views is told once, and not as one of a view."""
    parse_params(_Masking, _only(common, _Masking), owner=owner)
    recipe = _written_out(_only(common, Recipe), base, owner)
    parse_params(Recipe, {"members": {"any": {}}} | recipe, owner=owner)


def _view(name: str, own: Mapping[str, Any], common: Mapping[str, Any], base: Path, file: str) -> ViewChoice:
    """One view: what holds for all, with its own keys in the place of theirs."""
    owner = f"{file}: view '{name}'"
    _refuse_unknown(own, (_ViewKeys, _Masking, Recipe), owner)
    keys = parse_params(_ViewKeys, _only(own, _ViewKeys), owner=owner)
    merged = {
        key: value for key, value in {**common, **_only(own, Recipe, _Masking)}.items() if value is not None
    }
    if "members" not in merged:
        raise ConfigError(f"{owner} has no members; give members for all views, or its own")
    masking = parse_params(_Masking, _only(merged, _Masking), owner=owner)
    recipe = _with_mask(_written_out(_only(merged, Recipe), base, owner), masking, base, owner)
    return ViewChoice(
        recipe=parse_params(Recipe, recipe, owner=owner),
        data=_absolute(keys.data, base),
        layout=keys.layout,
        files=keys.files,
    )


def _written_out(content: dict[str, Any], base: Path, owner: str) -> dict[str, Any]:
    """A recipe's keys with what may be said in short written out, and paths absolute."""
    found: dict[str, Any] = {
        key: _chosen(value) if key in _CHOICES else value for key, value in content.items()
    }
    members, steps, size = (found.get(key) for key in ("members", "preparation", "size"))
    if isinstance(members, list):
        members = _members(members, owner)
    if isinstance(members, Mapping):
        found["members"] = {id: {} if said is None else said for id, said in members.items()}
    if isinstance(steps, list):
        found["preparation"] = [_chosen(step) for step in steps]
    if isinstance(size, int):
        found["size"] = (size, size)
    if "weights" in found:
        found["weights"] = _weights(found["weights"], base, owner)
    return {key: _located(value, base) for key, value in found.items()}


def _weights(said: object, base: Path, owner: str) -> object:
    paths = [said] if isinstance(said, str) else said
    for path in paths if isinstance(paths, list) else ():
        if isinstance(path, str) and not _exists(base / path):
            raise ConfigError(f"{owner}: weights: {path}: no such file or folder; check the name")
    return [str((base / str(path)).resolve()) for path in paths] if isinstance(paths, list) else paths


def _chosen(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _members(ids: list[Any], owner: str) -> dict[Any, Any]:
    for id in ids:
        if not isinstance(id, str):
            raise ConfigError(
                f"{owner}: option 'members': expected ids, got {id!r}; options need 'ID: {{options: ...}}'"
            )
        if ids.count(id) > 1:
            raise ConfigError(f"{owner}: option 'members': '{id}' is named twice; name each detector once")
    return {id: {} for id in ids}


def _with_mask(recipe: dict[str, Any], masking: _Masking, base: Path, owner: str) -> dict[str, Any]:
    """A recipe with the mask that `ignore` names: the one of its preparation, or one at the end."""
    said = {"ignore": _absolute(masking.ignore, base), "when": masking.masking}
    given = {key: value for key, value in said.items() if value is not None}
    if not given:
        return recipe
    steps = list(recipe.get("preparation", ()))
    if not any(_is_mask(step) for step in steps):
        if masking.ignore is None:
            raise ConfigError(f"{owner}: masking: there is no mask to apply; give ignore as well")
        steps.append({"id": MASK})
    if masking.ignore is not None and not Path(given["ignore"]).is_file():
        raise ConfigError(f"{owner}: ignore: {given['ignore']}: no such file; check the name")
    steps = [{**s, "options": {**given, **s.get("options", {})}} if _is_mask(s) else s for s in steps]
    return {**recipe, "preparation": steps}


def _is_mask(step: object) -> bool:
    return isinstance(step, Mapping) and step.get("id") == MASK


def _located(value: Any, base: Path) -> Any:
    """A value in which texts that look like paths, and are some from the project's folder, are absolute."""
    if isinstance(value, str):
        looks = "/" in value or "." in value
        return str((base / value).resolve()) if looks and _exists(base / value) else value
    if isinstance(value, Mapping):
        return {key: _located(inner, base) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [_located(inner, base) for inner in value]
    return value


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a zero byte: no path
        return False


def _absolute(path: str | None, base: Path) -> str | None:
    return None if path is None else str((base / path).resolve())
