"""The head: a PyOD detector fitted on positions of good fused maps.

PyOD can store a fitted detector only by pickling it. Here the rows it learned from are stored, and it is
fitted again from them when a run is opened; a few of its scores, stored too, say whether it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, JsonValue, PositiveInt, model_validator
from torch import Tensor
from typing_extensions import Self

from leatherens import FitContext
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.heads import GoodMaps, Head, HeadParams
from leatherens.core.randomness import derive, lent_generators, numpy_generator
from leatherens.core.refitted import require_same_again
from leatherens.core.rows import RowReservoir, maps_of, rows_of
from leatherens_pyod.catalogue import known

PROBES = 16
"""Rows that a fresh detector is asked about twice, together and one by one."""
ALIKE = 1e-6
"""How far two answers to one question may be apart, as a share of the answers' range."""


class PyODHead(Head):
    """A detector of PyOD by its class name, with its own options."""

    id = "pyod"

    class Params(HeadParams):
        """Which detector."""

        model: str = "KNN"
        """Class name in `pyod.models`."""
        options: dict[str, JsonValue] = Field(default_factory=dict)
        """Options of its constructor."""
        max_rows: PositiveInt = 2000
        """Most positions that it learns from and that are stored, drawn at random."""

        @model_validator(mode="after")
        def _known(self) -> Self:
            taken = known(self.model).options
            for option in self.options:
                if option not in taken:
                    near = did_you_mean(option, taken)
                    offered = ", ".join(taken) or "none"
                    raise ValueError(f"no option '{option}' of {self.model}{near} (it has: {offered})")
            return self

    rows_: Tensor
    """(N, C) good positions."""
    seed_: int
    expected_: list[float]
    """Scores of the first `PROBES` rows."""

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        sample = RowReservoir(self.params.max_rows, numpy_generator(context.seed, self.id, "rows"))
        self.rows_ = self.gather(maps, sample).cpu().clone()
        self.seed_ = derive(context.seed, self.id, "model")
        self._build()
        self.expected_ = self._refused_if_unsteady()

    def _build(self) -> None:
        """Fit on the rows; of a loaded head, see that it is what it was."""
        listed, options = known(self.params.model), dict(self.params.options)
        for name, value in (("random_state", self.seed_ % 2**32), ("verbose", 0)):
            if name in listed.options:
                options.setdefault(name, value)
        try:
            with lent_generators(self.seed_, "pyod"):
                self._detector: Any = listed.load(self.params.model)(**options)
                self._detector.fit(_numbers(self.rows_))
        except Exception as error:  # a hundred strangers' constructors and fits
            raise ConfigError(f"{self._named}: cannot be fitted: {_reason(error)}") from error
        if "expected_" in vars(self):
            require_same_again(self._named, self._ask(self._probes()), self.expected_)

    def _score(self, maps: Tensor) -> Tensor:
        scores = self._ask(_numbers(rows_of(maps)))
        return maps_of(torch.from_numpy(scores).float()[:, None].to(maps.device), maps)[:, 0]

    def _ask(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M, C) to (M,); detectors that draw while they score draw the same each time."""
        with lent_generators(self.seed_, "pyod", "score"):
            return np.asarray(self._detector.decision_function(rows), dtype=np.float64)

    def _probes(self) -> NDArray[np.float64]:
        return _numbers(self.rows_[:PROBES])

    def _refused_if_unsteady(self) -> list[float]:
        """Scores of the probes; a `ConfigError` if they depend on the company or are no numbers."""
        probes = self._probes()
        try:
            together = self._ask(probes)
            alone = np.concatenate([self._ask(row[None]) for row in probes])
            strange = self._ask(np.concatenate([probes, 10 * _numbers(self.rows_[-PROBES:])]))[: len(probes)]
        except Exception as error:  # a hundred strangers' scoring
            raise ConfigError(
                f"{self._named}: cannot score what it did not learn from: {_reason(error)}"
            ) from error
        if not np.isfinite(together).all():
            raise ConfigError(
                f"{self._named}: gives scores that are not finite; take another model or options"
            )
        apart = max(np.abs(together - other).max() for other in (alone, strange))
        if apart > ALIKE * max(np.ptp(together), np.abs(together).max()):
            raise ConfigError(
                f"{self._named}: its score of a position depends on which others are scored with it (by "
                f"{apart:.3g} here), so that no threshold could hold; take one that looks at each by itself, "
                "such as KNN, HBOS, IForest, GMM or PCA"
            )
        return together.tolist()

    @property
    def _named(self) -> str:
        return f"{self.id}: model {self.params.model}"


def _numbers(rows: Tensor) -> NDArray[np.float64]:
    return rows.cpu().numpy().astype(np.float64)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
