"""A member that could not be learned: what is told of it, while the others are learned and kept."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leatherens.core.artifact import write_text
from leatherens.core.errors import ArtifactError, LeatherensError, MembersFailed
from leatherens.ensembles.folder import RunFolder

TRACEBACK = "error.txt"
"""Beside a member's other files: where in the code a fault is that no message foresaw."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One member that could not be learned. Holds no exception, whose frames would hold on to memory."""

    id: str
    reason: str


def stops_all(error: Exception, members: int) -> bool:
    """Whether an error is to be raised as it is: no other member could be kept, or there is none."""
    if isinstance(error, ArtifactError):  # a full disk, a damaged run
        return True
    return members == 1 and isinstance(error, LeatherensError)


def failure_of(id: str, error: Exception, folder: Path) -> Failure:
    """What to tell of an error; the traceback of one that no message foresaw goes to the member's folder."""
    if isinstance(error, LeatherensError):
        return Failure(id, str(error).removeprefix(f"{id}: ").rstrip("."))
    told = " ".join(str(error).split()) or "no message"
    reason = f"{type(error).__name__}: {told}"
    with suppress(ArtifactError):  # the reason is worth more than where it stands
        write_text(folder / TRACEBACK, "".join(traceback.format_exception(error)))
        reason += f" (the traceback is in {folder / TRACEBACK})"
    return Failure(id, reason)


def members_failed(failures: Sequence[Failure], kept: Sequence[str], folder: RunFolder) -> MembersFailed:
    """One error for all that failed: the reasons, what is kept, and what to type."""
    told = "; ".join(f"{failure.id} could not be learned: {failure.reason}" for failure in failures)
    names = ", ".join(failure.id for failure in failures)
    message = f"{told}. "
    if kept:
        message += f"Learned and kept: {', '.join(kept)}. "
    message += f"When the cause is mended, go on with: {folder.resume_command}"
    if kept:
        message += f"; or start a run without {names}: --members {','.join(kept)}"
    return MembersFailed(message, failures={failure.id: failure.reason for failure in failures}, kept=kept)
