"""What the ensemble's verdicts were worth, image by image and in total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scipy.stats import binomtest

from leatherens.core.reporting import ScoredImage


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one verdict compares with its label: a word for people, a sign for paper, a key for styles."""

    key: str
    word: str
    sign: str


FOUND = Outcome("found", "defect found", "✓")
MISSED = Outcome("missed", "defect missed", "✗")
PASSED = Outcome("passed", "good, passed", "✓")
FALSE_ALARM = Outcome("false-alarm", "false alarm", "!")
FLAGGED = Outcome("flagged", "flagged, no label", "?")
UNFLAGGED = Outcome("unflagged", "not flagged, no label", "–")

_OUTCOMES = {
    (True, True): FOUND,
    (True, False): MISSED,
    (False, False): PASSED,
    (False, True): FALSE_ALARM,
    (None, True): FLAGGED,
    (None, False): UNFLAGGED,
}


def outcomes_by_label() -> dict[str, tuple[Outcome, Outcome]]:
    """Of each label, what an image is that was not flagged, and one that was."""
    labels = {"good": False, "defective": True, "unlabelled": None}
    return {name: (_OUTCOMES[label, False], _OUTCOMES[label, True]) for name, label in labels.items()}


class Judged(Protocol):
    """An image or a part with its label and the verdict on it."""

    @property
    def defective(self) -> bool | None:
        """What the label says, `None` where there is none."""
        ...

    @property
    def flagged(self) -> bool:
        """Whether it was called defective."""
        ...


def outcome(judged: Judged) -> Outcome:
    """The verdict on one image or part, judged by its label."""
    return _OUTCOMES[judged.defective, judged.flagged]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many images met each outcome; noun: what is counted, if not images."""

    found: int
    missed: int
    passed: int
    false_alarms: int
    flagged: int
    unflagged: int
    noun: str = "image"

    @property
    def defective(self) -> int:
        """Images labelled defective."""
        return self.found + self.missed

    @property
    def good(self) -> int:
        """Images labelled good."""
        return self.passed + self.false_alarms

    @property
    def unlabelled(self) -> int:
        """Images without a label."""
        return self.flagged + self.unflagged

    @property
    def sentences(self) -> list[str]:
        """The verdict in words, what cannot be said included.

        >>> Tally(found=3, missed=1, passed=9, false_alarms=1, flagged=0, unflagged=0).sentences
        ['3 of 4 defective images found, 1 missed.', '1 of 10 good images lost to a false alarm.']
        """
        if not self.defective + self.good + self.unlabelled:
            return [f"No {self.noun} was evaluated."]
        return [s for s in (self._defects(), self._goods(), self._unlabelled()) if s]

    def _defects(self) -> str:
        if not self.defective:
            return (
                f"No {self.noun} is labelled defective: what is missed cannot be measured."
                if self.good
                else ""
            )
        if not self.missed:
            return (
                f"All {self.defective} defective {self.noun}s found."
                if self.found > 1
                else f"The one defective {self.noun} found."
            )
        return f"{self.found} of {self.defective} defective {self.noun}s found, {self.missed} missed."

    def _goods(self) -> str:
        if not self.good:
            return (
                f"No {self.noun} is labelled good: false alarms cannot be measured." if self.defective else ""
            )
        if not self.false_alarms:
            return f"None of {self.good} good {self.noun}s lost."
        return f"{self.false_alarms} of {self.good} good {self.noun}s lost to a false alarm."

    def _unlabelled(self) -> str:
        if not self.unlabelled:
            return ""
        flagged = f"{self.flagged} of {self.unlabelled} unlabelled {self.noun}s flagged"
        return f"{flagged}; right or wrong cannot be told."


def tally(judged: Sequence[Judged], noun: str = "image") -> Tally:
    """Count the outcomes."""
    met = [outcome(one) for one in judged]
    return Tally(
        met.count(FOUND),
        met.count(MISSED),
        met.count(PASSED),
        met.count(FALSE_ALARM),
        met.count(FLAGGED),
        met.count(UNFLAGGED),
        noun=noun,
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of images with its 95 % Wilson interval, and whether that lies above what was promised."""

    count: int
    total: int
    low: float
    high: float
    broken: bool

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.total


def observed(images: Sequence[Judged], promise: float | None) -> Rate | None:
    """The false-alarm rate on the good images, `None` without any."""
    counts = tally(images)
    return rate(counts.false_alarms, counts.good, promise)


def rate(count: int, total: int, promise: float | None = None) -> Rate | None:
    """So many of a total, `None` of nothing."""
    if not total:
        return None
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    low, high = float(interval.low), float(interval.high)
    return Rate(count, total, low, high, broken=promise is not None and low > promise)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The images with one label: how many were flagged or not, and the share of wrong verdicts."""

    label: str
    passed: int
    flagged: int
    wrong: Rate | None


def outcome_rows(counts: Tally) -> list[OutcomeRow]:
    """Labels against verdicts; no row for a label that no image has."""
    rows = [
        OutcomeRow("good", counts.passed, counts.false_alarms, rate(counts.false_alarms, counts.good)),
        OutcomeRow("defective", counts.missed, counts.found, rate(counts.missed, counts.defective)),
        OutcomeRow("unlabelled", counts.unflagged, counts.flagged, None),
    ]
    return [row for row in rows if row.passed + row.flagged]


def mistakes(ranked: Sequence[tuple[int, ScoredImage]]) -> dict[Outcome, list[tuple[int, ScoredImage]]]:
    """The ranked images behind each kind of mistake, missed defects first; no kind without images."""
    kinds = {kind: [(rank, i) for rank, i in ranked if outcome(i) == kind] for kind in (MISSED, FALSE_ALARM)}
    return {kind: found for kind, found in kinds.items() if found}
