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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from leatherens.configs.recipe import PLACES, Recipe, read_recipe_content
from leatherens.configs.written import Masking, absolute, with_mask, with_usual_parts, written_out
from leatherens.core.artifact import write_text
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.params import Params, parse_params
from leatherens.core.views import ViewOf, Views

FALSE_ALARMS = 0.01
"""Of good parts, asked for where a project says nothing."""


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


def read_project(path: Path) -> Project:
    """A project from its file; a `ConfigError` names the file, the view and every wrong key.

    Relative paths mean the file's folder.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such project file; check the name")
    content, base = dict(read_recipe_content(path)), path.resolve().parent
    _refuse_unknown(content, (_Keys, Masking, Recipe), str(path))
    keys = parse_params(_Keys, _named_views(_only(content, _Keys)), owner=str(path))
    common = _only(content, Recipe, Masking)
    _check_common(common, base, str(path))
    views = {name: _view(name, own, common, base, str(path)) for name, own in keys.views.items()}
    if keys.data is None and (homeless := [name for name, view in views.items() if view.data is None]):
        raise ConfigError(f"{path}: view '{homeless[0]}' has no data; give data for all views, or its own")
    top = keys.model_dump(exclude={"views"}) | {"data": absolute(keys.data, base)}
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
    parse_params(Masking, _only(common, Masking), owner=owner)
    recipe = with_usual_parts(written_out(_only(common, Recipe), base, owner))
    parse_params(Recipe, {"members": {"any": {}}} | recipe, owner=owner)


def _view(name: str, own: Mapping[str, Any], common: Mapping[str, Any], base: Path, file: str) -> ViewChoice:
    """One view: what holds for all, with its own keys in the place of theirs."""
    owner = f"{file}: view '{name}'"
    _refuse_unknown(own, (_ViewKeys, Masking, Recipe), owner)
    keys = parse_params(_ViewKeys, _only(own, _ViewKeys), owner=owner)
    merged = {
        key: value for key, value in {**common, **_only(own, Recipe, Masking)}.items() if value is not None
    }
    if "members" not in merged:
        raise ConfigError(f"{owner} has no members; give members for all views, or its own")
    recipe = written_out(_only(merged, Recipe), base, owner)
    recipe = with_usual_parts(with_mask(recipe, _only(merged, Masking), base, owner))
    return ViewChoice(
        recipe=parse_params(Recipe, recipe, owner=owner),
        data=absolute(keys.data, base),
        layout=keys.layout,
        files=keys.files,
    )
