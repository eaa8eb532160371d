"""`leatherens config`: recipes and scenarios, looked at and checked."""

from __future__ import annotations

import json

import click

from leatherens.cli import Group, Session


@click.group(cls=Group)
def config() -> None:
    """Recipes by name or file: list them, show what they say, check one."""


@config.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with all that scenarios say of themselves.")
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """List the scenarios there are, for `leatherens run --config NAME`."""
    from leatherens.cli.columns import aligned
    from leatherens.configs.recipe_file import read_recipe_file

    host = session.host
    found = {id: read_recipe_file(id, host) for id in host.scenarios().ids()}
    if as_json:
        told = {id: None if f.about is None else f.about.model_dump(mode="json") for id, f in found.items()}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    summaries = {entry.id: entry.summary for entry in host.scenarios().entries}
    rows = [(id, summaries.get(id, ""), ", ".join(f.content["members"])) for id, f in found.items()]
    for line in aligned([("scenario", "for", "members"), *rows], cut=2):
        click.echo(line)


@config.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--resolved", is_flag=True, help="With every default of every part written out.")
@click.pass_obj
def show(session: Session, *, name: str, resolved: bool) -> None:
    """Print a recipe: of a scenario, a file or a run, with what it extends."""
    from leatherens.configs.checked import require_parts
    from leatherens.configs.recipe_file import read_recipe_file
    from leatherens.configs.shown import recipe_text

    found = read_recipe_file(name, session.host)
    require_parts(found, session.host)
    said = found.content
    if resolved:
        from leatherens.ensembles.parts import resolve

        said = resolve(found.recipe, session.host).model_dump(mode="json")
    click.echo(recipe_text(said, found.about), nl=False)


@config.command("validate")
@click.argument("name", metavar="FILE|NAME")
@click.pass_obj
def validate(session: Session, *, name: str) -> None:
    """Check a recipe: its keys, what it extends, and the options of every plugin it names."""
    from leatherens.configs.checked import require_parts
    from leatherens.configs.recipe_file import read_recipe_file
    from leatherens.ensembles.parts import resolve

    found = read_recipe_file(name, session.host)
    require_parts(found, session.host)
    recipe = resolve(found.recipe, session.host)
    click.echo(f"{found.name}: a recipe of {', '.join(recipe.members)}; nothing is wrong with it")


@config.command("schema")
@click.pass_obj
def schema(session: Session) -> None:
    """Print the JSON Schema of recipe files, with the options of every plugin, for editors."""
    from leatherens.configs.schema import recipe_schema

    click.echo(json.dumps(recipe_schema(session.host), indent=2, ensure_ascii=False))
