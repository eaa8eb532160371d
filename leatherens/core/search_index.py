"""The FAISS index that finds a bank's nearest rows, named by a factory string.

`Flat` compares with every row. `HNSW32`, `IVF256,Flat`, `IVF256,PQ16` and whatever else FAISS's index
factory knows compare with fewer and miss some neighbours; how many is measured (`core/memory_bank.py`).

An index is never stored: it is made from the bank's rows whenever a run is opened, so that another version
of FAISS cannot break a run. It is made on one thread, since a graph that several threads build is another
one each time.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor

from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.params import Params

EXAMPLES = ("Flat", "HNSW32", "IVF256,Flat", "IVF256,PQ16", "IVF256,SQ8", "SQ8", "PQ16")

ROWS_A_CELL = 39
"""Rows to train each cell or code word with, below which FAISS itself warns."""


class SearchParams(Params):
    """How a bank is searched."""

    index: str = "Flat"
    """FAISS factory string. `Flat` is exact; `HNSW32`, `IVF256,Flat` or `IVF256,PQ16` pay for large banks."""
    nprobe: PositiveInt = 16
    """Cells of an IVF index that are looked into; more find more and take longer."""
    ef_search: PositiveInt = 64
    """Rows an HNSW index keeps in sight on its way; more find more and take longer."""

    @property
    def exact(self) -> bool:
        """Whether every row is compared with."""
        return self.index == "Flat"

    @property
    def shortened(self) -> bool:
        """Whether rows are compared in a shortened form, so that the index's own order is a guess.

        >>> SearchParams(index="IVF256,PQ16").shortened, SearchParams(index="HNSW32").shortened
        (True, False)
        """
        return re.search("PQ|SQ|PCA|OPQ|LSH", self.index) is not None


EXACT = SearchParams()


def faiss_installed() -> bool:
    """Whether FAISS can be imported."""
    return importlib.util.find_spec("faiss") is not None


def faiss_gpus() -> int:
    """GPUs that the installed FAISS can use."""
    if not faiss_installed():
        return 0
    import faiss

    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def require_usable(how: SearchParams, channels: int, *, owner: str) -> None:
    """Before any work: a `ConfigError` unless FAISS can make this index for rows of so many channels."""
    if how.exact:
        return
    if not faiss_installed():
        raise ConfigError(
            f"{owner}: index '{how.index}' needs FAISS: pip install 'leatherens[cpu]', or take index Flat"
        )
    _empty_index(how, channels, owner)


def search_index(rows: Tensor, how: SearchParams, *, owner: str) -> Any:
    """A FAISS index over rows (M, C), trained on them, on the GPU where they and FAISS are."""
    require_usable(how, rows.shape[1], owner=owner)
    import faiss  # after torch: each brings an OpenMP runtime, and torch's must be there first

    if how.exact:
        index = faiss.IndexFlatL2(rows.shape[1])
        index.add(rows.detach().cpu().contiguous().numpy())
        return index
    index = _empty_index(how, rows.shape[1], owner)
    for part in _parts(index):
        _set_up(part, how)
    _fill(index, rows, how, owner)
    return _placed(index, rows.device)


def advised_rows(how: SearchParams) -> int:
    """Rows that FAISS advises to train an index with; 0 where it has no advice.

    >>> advised_rows(SearchParams(index="IVF256,Flat")), advised_rows(SearchParams(index="HNSW32"))
    (9984, 0)
    """
    cells = [int(found) for found in re.findall(r"IVF(\d+)", how.index)]
    words = [2 ** int(bits or 8) for bits in re.findall(r"PQ\d+(?:x(\d+))?", how.index)]
    return ROWS_A_CELL * max([*cells, *words], default=0)


def _empty_index(how: SearchParams, channels: int, owner: str) -> Any:
    import faiss

    known = f"FAISS knows {', '.join(EXAMPLES)} and more"
    if re.search(r"(?<!\d)0+(?!\d)", how.index):  # FAISS would end the process
        raise ConfigError(f"{owner}: index '{how.index}' has a 0 in it; {known}")
    try:
        return faiss.index_factory(channels, how.index)
    except RuntimeError as error:
        if "could not parse" in str(error):
            near = did_you_mean(how.index, EXAMPLES)
            raise ConfigError(f"{owner}: index '{how.index}' is unknown to FAISS{near} ({known})") from None
        raise ConfigError(
            f"{owner}: FAISS cannot make index '{how.index}' for rows of {channels} numbers: {_reason(error)}"
        ) from None


def _parts(index: Any) -> Iterator[Any]:
    """An index and those it is made of."""
    import faiss

    part = faiss.downcast_index(index)
    yield part
    for name in ("index", "base_index", "storage"):
        inner = getattr(part, name, None)
        if isinstance(inner, faiss.Index):
            yield from _parts(inner)


def _set_up(part: Any, how: SearchParams) -> None:
    """How far to look; nothing trained that is never used, nothing printed that `advised_rows` says."""
    if hasattr(part, "nprobe"):
        part.nprobe = min(how.nprobe, part.nlist)
        part.cp.min_points_per_centroid = 1
    if hasattr(part, "hnsw"):
        part.hnsw.efSearch = how.ef_search
    if hasattr(part, "pq"):
        part.pq.cp.min_points_per_centroid = 1
    if hasattr(part, "do_polysemous_training"):
        part.do_polysemous_training = False  # minutes, for a filter that is never switched on


def _fill(index: Any, rows: Tensor, how: SearchParams, owner: str) -> None:
    values = rows.detach().cpu().contiguous().numpy()
    try:
        with _one_thread():
            index.train(values)
            index.add(values)
    except RuntimeError as error:
        needed = re.search(r"Number of training points .* clusters \((\d+)\)", str(error))
        remedy = "a larger core_set, more images, or index Flat"
        if needed is None:
            raise ConfigError(
                f"{owner}: FAISS cannot fill index '{how.index}' with {len(rows)} rows: {_reason(error)}; "
                f"try {remedy}"
            ) from None
        raise ConfigError(
            f"{owner}: index '{how.index}' needs at least {needed[1]} rows to be trained, the bank has "
            f"{len(rows)}; try {remedy}"
        ) from None


@contextmanager
def _one_thread() -> Iterator[None]:
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _placed(index: Any, device: torch.device) -> Any:
    """The index on a GPU; where it stands if it is of a kind that FAISS has for CPUs only."""
    if device.type != "cuda":
        return index
    import faiss

    try:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), device.index or 0, index)
    except RuntimeError:
        return index


def _reason(error: RuntimeError) -> str:
    """FAISS's own words without the place in its source."""
    return re.split(r"\.(?:cpp|h):\d+: ", str(error))[-1].split(" failed: ")[-1].strip()
