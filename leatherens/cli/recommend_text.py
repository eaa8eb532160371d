"""A recommendation as text and as plain values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli.columns import aligned
from leatherens.ensembles.recommending.predicting import MEANING
from leatherens.ensembles.recommending.trying import CAVEAT, Tried

if TYPE_CHECKING:
    from leatherens.ensembles.recommending.choosing import Choice, Verdict
    from leatherens.ensembles.recommending.recommending import Recommendation
    from leatherens.ensembles.recommending.trying import Outcome

SCHEMA = 1
"""Of the JSON; a change of what a key means raises it."""

_WIDTH = 100


def print_recommendation(
    found: Recommendation, outcome: Outcome | None, command: str, *, explain: bool
) -> None:
    """Print the pick with its reasons and the command; explain: all evidence and all verdicts, too."""
    for block in _blocks(found, outcome, explain=explain):
        click.echo(block)
        click.echo()
    click.echo(command)


def content_of(found: Recommendation, outcome: Outcome | None, command: str) -> dict[str, Any]:
    """Everything as plain values."""
    choice = found.choice
    return {
        "schema": SCHEMA,
        "pick": outcome.pick if outcome else choice.pick.id,
        "command": command,
        "within_budget": choice.within,
        "look": found.look.content(),
        "machine": found.machine.content(),
        "predictions": MEANING,
        "scenarios": [_verdict_content(verdict) for verdict in choice.verdicts],
        "tried": None if outcome is None else _outcome_content(outcome),
    }


def _blocks(found: Recommendation, outcome: Outcome | None, *, explain: bool) -> Iterator[str]:
    if explain:
        yield _evidence(found)
        yield _scenarios(found)
    yield _pick(found, tried=outcome is not None)
    if outcome is not None:
        yield _trials(outcome, found.choice)


def _evidence(found: Recommendation) -> str:
    rows = [*found.look.sentences.items(), ("machine", found.machine.sentence)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(["What there is:", *(_hanging(f"  {name:{width}}  ", told) for name, told in rows)])


def _scenarios(found: Recommendation) -> str:
    lines = ["Scenarios, the best fit first:"]
    for verdict in found.choice.verdicts:
        lines.append(_hanging(f"  {verdict.id}: ", _said(verdict), indent=4))
    return "\n".join(lines)


def _said(verdict: Verdict) -> str:
    """What became of a scenario, in a sentence or two."""
    met = "; ".join(check.sentence for check in verdict.candidate.met)
    cost = f". Predicted: {verdict.prediction.sentence}" if verdict.prediction else ""
    reasons = "; ".join(verdict.why)
    fits = f"fits ({met})" if met else "fits any images"
    return {
        "picked": f"picked; {fits}{cost}",
        "within": f"{fits}{cost}",
        "dropped": f"dropped, {reasons}; {fits}{cost}",
        "untimed": f"passed over, it cannot be made here: {reasons}",
        "not needed": f"{fits}; {_behind(verdict)}",
        "not for these images": f"not for these images: {reasons}",
        "broken": f"cannot be used: {reasons}",
    }[verdict.state]


def _behind(verdict: Verdict) -> str:
    return (
        "only where others cost too much" if verdict.candidate.tight else "less special than the one picked"
    )


def _pick(found: Recommendation, *, tried: bool) -> str:
    """Two or three sentences on the one that is picked, and its cost."""
    choice, pick = found.choice, found.choice.pick
    about, met = pick.candidate.about, [check.sentence for check in pick.candidate.met]
    lines = ["By what the images look like, before any was tried:"] if tried else []
    lines += [f"{pick.id}: {about.title}" if about else pick.id]
    why = f"It fits: {'; '.join(met)}." if met else "It fits any images, and nothing more special does."
    if pick.candidate.tight and choice.within and choice.dropped:
        why = "It is for when others cost too much, and they do here."
    if not choice.within:
        why = f"No scenario keeps the budget; this one comes nearest ({'; '.join(pick.why)})."
    lines += [_hanging("  ", why)]
    lines += [_hanging("  ", f"Use: {about.use} Avoid: {about.avoid}")] if about else []
    if pick.prediction is not None:
        lines += [_hanging("  ", f"Predicted here: {pick.prediction.sentence} ({found.machine.sentence}).")]
    for verdict in choice.dropped:
        lines += [_hanging("  ", f"Passed over: {verdict.id}, {'; '.join(verdict.why)}.")]
    return "\n".join(lines)


def _trials(outcome: Outcome, choice: Choice) -> str:
    costs = {verdict.id: verdict.prediction for verdict in choice.verdicts}
    rows: list[tuple[str, ...]] = [("tried", "image AUROC", "AU-PRO", "mean", "ms an image", "seconds")]
    for id, one in outcome.tried.items():
        if isinstance(one, Tried):
            figures = (f"{value:.3f}" for value in (one.image_auroc, one.au_pro, one.separation))
            cost = costs[id]
            rows.append((id, *figures, f"{cost.ms_per_image:.0f}" if cost else "", f"{one.seconds:.0f}"))
        else:
            rows.append((id, one, "", "", "", ""))
    known = next(one for one in outcome.tried.values() if isinstance(one, Tried))
    told = f"Best: {outcome.pick}. {known.good} held-out good images, and {known.spoilt} spoilt copies. "
    return "\n".join([*aligned(rows), _hanging("", told + CAVEAT), *outcome.remarks])


def _hanging(first: str, text: str, indent: int | None = None) -> str:
    """A paragraph whose further lines stand below its beginning."""
    rest = " " * (len(first) if indent is None else indent)
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict_content(verdict: Verdict) -> dict[str, Any]:
    candidate = verdict.candidate
    return {
        "id": verdict.id,
        "verdict": verdict.state,
        "why": list(verdict.why),
        "rank": candidate.rank if candidate.fits else None,
        "conditions": [
            {"key": c.key, "met": c.met, "weight": c.weight, "sentence": c.sentence} for c in candidate.checks
        ],
        "prediction": verdict.prediction.model_dump(mode="json") if verdict.prediction else None,
    }


def _outcome_content(outcome: Outcome) -> dict[str, Any]:
    return {
        "pick": outcome.pick,
        "caveat": CAVEAT,
        "remarks": list(outcome.remarks),
        "scenarios": {
            id: one.model_dump(mode="json") | {"separation": one.separation}
            if isinstance(one, Tried)
            else {"reason": one}
            for id, one in outcome.tried.items()
        },
    }
