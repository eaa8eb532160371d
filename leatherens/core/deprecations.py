"""What is on its way out: every removal and every renaming stands here first, with dates and a replacement.

One constant per deprecation, and nothing else below the class. What is deprecated warns with it:
a function calls `OLD_NAME.warn()`; a hook is marked in `hookspecs` with `warn_on_impl=OLD_HOOK.warning`, an
argument of a hook with `warn_on_impl_args={"old": OLD_ARGUMENT.warning}`, and the host then names the plugin.
When the version in `gone` is made, the constant is deleted together with what it kept alive.

Nothing is deprecated now.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass


class Deprecated(FutureWarning):
    """Something of leatherens will go. Users see it: a DeprecationWarning is hidden from them by default."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """One thing that will go.

    name: what it is, as its users write it. use: what takes its place. since, gone: the versions of
    leatherens that first warned and that no longer have it.
    """

    name: str
    use: str
    since: str
    gone: str

    @property
    def sentence(self) -> str:
        """What it is, until when it works, and what to write instead.

        >>> Deprecation("Ensemble.raw_scores", use="Ensemble.explain", since="0.4", gone="0.6").sentence
        'Ensemble.raw_scores is deprecated since leatherens 0.4 and gone in 0.6; use Ensemble.explain'
        """
        return (
            f"{self.name} is deprecated since leatherens {self.since} and gone in {self.gone}; use {self.use}"
        )

    @property
    def warning(self) -> Deprecated:
        """The sentence, ready to be warned with."""
        return Deprecated(self.sentence)

    def warn(self) -> None:
        """Warn whoever called the deprecated function that calls this."""
        warnings.warn(self.warning, stacklevel=3)
