"""Where any part is tried: how it is made again, and how it is failed in a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from leatherens.core.errors import InputError


class ConformanceError(AssertionError):
    """A member broke the contract; the message names it and what was seen."""


class Bench:
    """A maker of parts on trial. Checks ask it for new parts and tell it what is wrong."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def fail(self, sentence: str) -> NoReturn:
        """Fail the check, naming the member."""
        raise ConformanceError(f"{type(self.make()).__name__}: {sentence}")

    def expect(self, fine: object, sentence: str) -> None:
        """Fail unless fine."""
        if not fine:
            self.fail(sentence)

    def expect_refused(self, call: Callable[[], object], what: str, *, words: tuple[str, ...] = ()) -> None:
        """Fail unless the call raises an `InputError` whose sentence holds these words."""
        if self.done_or_refused(call, what, "refused", words):
            self.fail(f"{what} must be refused with an InputError, but was accepted")

    def expect_done_or_refused(self, call: Callable[[], object], what: str) -> None:
        """Fail if the call raises anything but an `InputError` with a sentence."""
        self.done_or_refused(call, what, "taken or refused", ())

    def done_or_refused(
        self, call: Callable[[], object], what: str, must: str, words: tuple[str, ...]
    ) -> bool:
        """True when the call was done, False when it was refused in words; anything else fails the check."""
        try:
            call()
        except InputError as error:
            missing = [word for word in words if word not in str(error)]
            self.expect(len(str(error)) > 10, f"{what} is refused without a sentence: {error!r}")
            self.expect(not missing, f"{what} is refused without naming {', '.join(missing)}: {error}")
            return False
        except ConformanceError:
            raise
        except Exception as error:  # noqa: BLE001  (the member's own code; whatever it raised is the finding)
            self.fail(f"{what} must be {must} with an InputError, but {described(error)}")
        return True


def described(error: BaseException) -> str:
    """An error as the end of a sentence."""
    return f"{type(error).__name__} was raised: {error}"
