"""What is there of a run that was interrupted, or of which files are missing or damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from leatherens.configs.recipe import MemberChoice, read_recipe
from leatherens.core.checkpoint import read_checkpoint
from leatherens.core.errors import LeatherensError
from leatherens.core.listing import counted
from leatherens.core.progress import Silent
from leatherens.core.unfinished_view import Fragment, UnfinishedView
from leatherens.ensembles.facts import Facts
from leatherens.ensembles.failures import TRACEBACK
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.reopening import read_metrics, read_tested
from leatherens.ensembles.splits import Splits
from leatherens.ensembles.training_log import training_curves

T = TypeVar("T")


def unfinished_view(folder: RunFolder, why: LeatherensError) -> UnfinishedView:
    """What is there of a run that cannot be reported, for reporters."""
    try:
        recipe = read_recipe(folder.recipe)
    except LeatherensError:
        return UnfinishedView(folder.path.resolve().name, str(why), fragments(folder))
    return UnfinishedView(
        folder.path.resolve().name,
        str(why),
        fragments(folder),
        recipe.model_dump(mode="json"),
        training_curves(folder, recipe.members, Silent()),
    )


def fragments(folder: RunFolder) -> tuple[Fragment, ...]:
    """Everything a report rests on, in the order in which a run makes it."""
    return tuple(_fragments(folder))


def _fragments(folder: RunFolder) -> Iterator[Fragment]:
    yield _looked_at("data", folder.facts, _data)
    yield _looked_at("splits", lambda: Splits.read(folder.splits), _splits)
    try:
        members = read_recipe(folder.recipe).members
    except LeatherensError as error:
        yield Fragment("recipe", str(error), whole=False)
    else:
        yield Fragment("recipe", f"{counted(len(members), 'member')}: {', '.join(members)}", whole=True)
        yield from (_member(folder, id, choice) for id, choice in members.items())
    decided = folder.holds(folder.part("thresholds", "ensemble"))
    yield Fragment("thresholds", "learned" if decided else "not learned yet", decided)
    yield _looked_at("scores", lambda: read_tested(folder), lambda lines: counted(len(lines), "test image"))
    yield _looked_at("metrics", lambda: read_metrics(folder.metrics), lambda metrics: "measured")


def _looked_at(what: str, read: Callable[[], T], told: Callable[[T], str]) -> Fragment:
    try:
        return Fragment(what, told(read()), whole=True)
    except LeatherensError as error:
        return Fragment(what, str(error), whole=False)


def _data(facts: Facts) -> str:
    return f"{facts.data.root}, {facts.data_sentence}"


def _splits(splits: Splits) -> str:
    return ", ".join(f"{len(ids)} {job.replace('_', ' ')}" for job, ids in splits.jobs().items() if ids)


def _member(folder: RunFolder, id: str, choice: MemberChoice) -> Fragment:
    """Whether a member is learned, and if not, how far it is."""
    at = folder.member(id)
    if folder.holds(at):
        return Fragment(id, "learned", whole=True)
    if (at / "checkpoint.safetensors").exists():
        return Fragment(id, _training(folder, id, choice), whole=False)
    failed = at / TRACEBACK
    return Fragment(id, f"failed, see {failed}" if failed.exists() else "not learned yet", whole=False)


def _training(folder: RunFolder, id: str, choice: MemberChoice) -> str:
    """How far a training is, from its checkpoint."""
    try:
        _, note = read_checkpoint(folder.member(id) / "checkpoint.safetensors")
        losses = note["log"]["losses"]
        done, last = len(losses), f", loss {losses[-1]:.4g}" if losses else ""
    except LeatherensError as error:
        return str(error)
    except (KeyError, TypeError, ValueError):
        return "in training, its checkpoint is damaged"
    steps = choice.options.get("steps")
    return f"in training, step {done}{f' of {steps}' if steps else ''}{last}"
