"""What is said when work that can be gone on with stops half way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from leatherens.core.errors import ArtifactError


class Resumable(Protocol):
    """A folder of work that can be gone on with."""

    @property
    def begun(self) -> bool:
        """Whether anything was written down."""
        ...

    @property
    def resume_command(self) -> str:
        """What to type."""
        ...


@contextmanager
def saying_how_to_go_on(folder: Resumable, kept: str = "what was learned") -> Iterator[None]:
    """After Ctrl-C or a full disk, tell that nothing finished is lost and what to type."""
    try:
        yield
    except KeyboardInterrupt:
        if not folder.begun:
            raise KeyboardInterrupt("Interrupted before anything was learned; start again.") from None
        raise KeyboardInterrupt(f"Interrupted; {kept} is kept. Go on with: {folder.resume_command}") from None
    except ArtifactError as error:
        if not isinstance(error.__cause__, OSError) or not folder.begun:
            raise
        raise ArtifactError(
            f"{error}. What was learned is kept; go on with: {folder.resume_command}"
        ) from error
