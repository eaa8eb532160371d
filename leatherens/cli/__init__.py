"""The command `leatherens`: its options, its commands by name, and how it ends when something is wrong.

A command's module is imported when the command is called; `--help` reads the table below and imports none.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.core.deprecations import Deprecated
from leatherens.core.errors import LeatherensError, PluginWarning, did_you_mean

if TYPE_CHECKING:
    from leatherens.core.host import PluginHost

INTERRUPTED = 130
"""128 + SIGINT: what a shell expects of a program that Ctrl-C ended."""

COMMANDS = {
    "run": ("leatherens.cli.run:run", "Learn from good images, calibrate, test and write a report."),
    "config": ("leatherens.cli.config:config", "List scenarios, and show or check a recipe."),
    "recommend": (
        "leatherens.cli.recommend:recommend",
        "Say which scenario fits these images and this machine.",
    ),
    "predict": ("leatherens.cli.predict:predict", "Judge images with a finished run."),
    "evaluate": ("leatherens.cli.evaluate:evaluate", "Measure a finished run on labelled images."),
    "report": ("leatherens.cli.report:report", "Report a finished run anew, or several side by side."),
    "metrics": ("leatherens.cli.metrics:metrics", "Measure the score maps of any tool."),
    "ablate": ("leatherens.cli.ablate:ablate", "Measure what every part of an ensemble is worth."),
    "experiment": (
        "leatherens.cli.experiment:experiment",
        "Make whole tables over data sets, detectors and ensembles.",
    ),
    "update": ("leatherens.cli.update:update", "Add verified good images to a finished run."),
    "recalibrate": (
        "leatherens.cli.recalibrate:recalibrate",
        "Move a finished run's thresholds to a new line or lighting.",
    ),
    "thresholds": ("leatherens.cli.thresholds:thresholds", "Compare threshold rules, and choose another."),
    "rollback": ("leatherens.cli.rollback:rollback", "Undo what was changed since a run was made."),
    "history": ("leatherens.cli.history:history", "List what was done to a finished run."),
    "data": ("leatherens.cli.data:data", "Look at images, bring in labels, or make data sets."),
    "mask": ("leatherens.cli.mask:mask", "Propose a region that is not to be inspected."),
    "cache": ("leatherens.cli.cache:cache", "Show or clear the features remembered between runs."),
    "plugins": ("leatherens.cli.plugins:plugins", "Show what is installed and what is broken."),
}


@dataclass
class Session:
    """What the options before the command say; commands take it with `@click.pass_obj`."""

    strict_plugins: bool = False
    plugin_files: tuple[Path, ...] = ()
    installed_plugins: bool = True

    @cached_property
    def host(self) -> PluginHost:
        """The plugins, looked for when first asked."""
        from leatherens.core.host import PluginHost

        return PluginHost(
            installed=self.installed_plugins, files=self.plugin_files, strict=self.strict_plugins
        )


class Group(click.Group):
    """A group that suggests the nearest command for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command `args` begins with."""
        known = self.list_commands(ctx)
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in known:
            hint = did_you_mean(args[0], known) or f" (commands: {', '.join(known)})"
            ctx.fail(f"no command '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)


class _Top(Group):
    """The top group: commands from a table, and every user's mistake a sentence instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _plain_warnings():
                return super().invoke(ctx)
        except LeatherensError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as interrupt:  # a command may say how to go on
            click.echo(f"\n{str(interrupt) or 'Interrupted.'}", err=True)
            ctx.exit(INTERRUPTED)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings meant for users in a line of their own, without the place in the code; others as ever."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, PluginWarning | Deprecated):
            click.echo(f"Warning: {message}", err=True)
        else:
            usual(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


@click.group(cls=_Top, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="leatherens", message="%(prog)s %(version)s")
@click.option("--strict-plugins", is_flag=True, help="Refuse to work while any plugin is broken.")
@click.option(
    "--plugin",
    "plugin_files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Load a .py file as a plugin (may be repeated).",
)
@click.option("--no-plugins", is_flag=True, help="Leave out the plugins of installed packages.")
@click.pass_context
def cli(
    ctx: click.Context, *, strict_plugins: bool, plugin_files: tuple[Path, ...], no_plugins: bool
) -> None:
    """Find defects in photographs of leather with models that learned from good images only."""
    ctx.obj = Session(strict_plugins, plugin_files, installed_plugins=not no_plugins)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; leaves with 0, 2 (a mistake to mend), 130 (Ctrl-C) or 1 (output closed)."""
    # Threads that spin while they wait make a busy machine ten times slower; read when torch loads OpenMP.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cli.main(args=None if arguments is None else list(arguments), prog_name="leatherens")
