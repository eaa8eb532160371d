"""The choice: down the order of the scenarios that fit the images, the first that keeps the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from leatherens.core.errors import InputError, LeatherensError
from leatherens.ensembles.recommending.candidates import Candidate
from leatherens.ensembles.recommending.predicting import Budget, Prediction

State = Literal["picked", "within", "dropped", "untimed", "not needed", "not for these images", "broken"]

Predict = Callable[[Candidate], Prediction]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one scenario. why: the reasons, in words. prediction: where it was timed."""

    candidate: Candidate
    state: State
    why: tuple[str, ...] = ()
    prediction: Prediction | None = None

    @property
    def id(self) -> str:
        """The scenario's."""
        return self.candidate.id


@dataclass(frozen=True, slots=True)
class Choice:
    """The verdicts on all scenarios, in their order. within: whether the one picked keeps the budget."""

    verdicts: tuple[Verdict, ...]
    within: bool = True

    @property
    def pick(self) -> Verdict:
        """The one that is recommended."""
        return next(verdict for verdict in self.verdicts if verdict.state == "picked")

    @property
    def dropped(self) -> tuple[Verdict, ...]:
        """Those that fit the images and cost too much, or could not be timed."""
        return tuple(verdict for verdict in self.verdicts if verdict.state in ("dropped", "untimed"))


def choose(candidates: Sequence[Candidate], predict: Predict, budget: Budget, wanted: int = 1) -> Choice:
    """Time the scenarios that fit, in their order, until so many keep the budget; the first is picked.

    If none does, the one that comes nearest to it is picked, and `within` is false.
    """
    verdicts = list(_verdicts(candidates, predict, budget, wanted))
    if any(verdict.state == "picked" for verdict in verdicts):
        return Choice(tuple(verdicts))
    timed = [verdict for verdict in verdicts if verdict.prediction is not None]
    if not timed:
        raise _nothing(verdicts)
    nearest = min(timed, key=lambda verdict: _times_over(verdict, budget))
    picked = [replace(v, state="picked") if v is nearest else v for v in verdicts]
    return Choice(tuple(picked), within=False)


def _verdicts(
    candidates: Sequence[Candidate], predict: Predict, budget: Budget, wanted: int
) -> Iterator[Verdict]:
    found, over = 0, list[Verdict]()
    for candidate in candidates:
        if candidate.broken is not None:
            yield Verdict(candidate, "broken", (candidate.broken,))
        elif not candidate.fits:
            yield Verdict(candidate, "not for these images", tuple(c.sentence for c in candidate.unmet))
        elif found == wanted:
            yield Verdict(candidate, "not needed")
        elif (less := next((one for one in over if _part_of(one.candidate, candidate)), None)) is not None:
            yield Verdict(candidate, "dropped", (f"it has all members of {less.id} and more, which is over",))
        else:
            verdict = _timed(candidate, predict, budget)
            over += [verdict] if verdict.state == "dropped" else []
            if verdict.state == "within":
                found += 1
                verdict = replace(verdict, state="picked" if found == 1 else "within")
            yield verdict


def _timed(candidate: Candidate, predict: Predict, budget: Budget) -> Verdict:
    """One that is broken in a way that only making it shows is passed over, like one that costs too much."""
    try:
        prediction = predict(candidate)
    except LeatherensError as error:
        return Verdict(candidate, "untimed", (str(error).splitlines()[0],))
    excess = budget.excess(prediction)
    return Verdict(candidate, "dropped" if excess else "within", excess, prediction)


def _part_of(less: Candidate, more: Candidate) -> bool:
    """Whether one recipe is another with fewer members, which then costs less."""
    one, other = less.recipe, more.recipe
    if one is None or other is None or not one.members.keys() < other.members.keys():
        return False
    same = all(one.members[id].options == other.members[id].options for id in one.members)
    looks = ("size", "tile", "overlap", "preparation", "mode", "block", "head", "device")
    return same and all(getattr(one, key) == getattr(other, key) for key in looks)


def _times_over(verdict: Verdict, budget: Budget) -> float:
    assert verdict.prediction is not None
    return budget.times_over(verdict.prediction)


def _nothing(verdicts: Sequence[Verdict]) -> LeatherensError:
    """Why there is nothing to recommend."""
    reasons = [f"{verdict.id}: {'; '.join(verdict.why)}" for verdict in verdicts]
    untimed = [v for v in verdicts if v.state == "untimed"]
    broken = [v for v in verdicts if v.state == "broken"]
    if untimed or len(broken) == len(verdicts):
        first = (untimed or broken)[0]
        return LeatherensError(f"no scenario can be used here; {first.id}: {'; '.join(first.why)}")
    return InputError("no scenario is for such images:\n  " + "\n  ".join(reasons))
