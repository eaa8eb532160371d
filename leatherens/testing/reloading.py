"""A part as it comes back from disk, and whether it then says what it said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leatherens.core.artifact import read_state, write_state
from leatherens.core.component import Component
from leatherens.core.errors import NotFittedError
from leatherens.testing.bench import Bench

ERRORS_ALLOWED = 4
"""Standard errors of a counted share; a correct part fails one run in tens of thousands."""


def reloaded(member: Component) -> Any:
    """Written into a folder and read again, the options from JSON, as a run keeps them."""
    with TemporaryDirectory() as folder:
        write_state(Path(folder), member.state())
        state = read_state(Path(folder))
    params = type(member).Params.model_validate_json(member.params.model_dump_json())
    return type(member).from_state(params, state)


def _fitted(member: Any, lessons: Any) -> Any:
    return member.fit(lessons)


def expect_kept(
    trial: Bench,
    first: Any,
    other: Any,
    say: Callable[[Any], object],
    learn: Callable[[Any, Any], Any] = _fitted,
) -> None:
    """Fail unless a part without a fit has no state, and one loaded or refitted says what it said before.

    first, other: what to learn from. say: what it says, comparable by `==`.
    """
    expect_unfitted_refused(trial, "state", lambda: trial.make().state())
    member = trial.make()
    expected = say(learn(member, first))
    trial.expect(say(reloaded(member)) == expected, "saved and loaded, it decides otherwise")
    trial.expect(say(learn(learn(member, other), first)) == expected, "a second fit remembers the first")
    trial.expect(learn(member, first) is member, "fit must return self")


def expect_unfitted_refused(trial: Bench, name: str, call: Callable[[], object]) -> None:
    """Fail unless a call before fit raises `NotFittedError`."""
    try:
        call()
    except NotFittedError:
        return
    trial.fail(f"{name} before fit must raise NotFittedError, but gave an answer")
