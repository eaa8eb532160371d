"""What this machine is: cores, memory, GPU, and how busy it is just now."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from leatherens.core.listing import counted


@dataclass(frozen=True, slots=True)
class Machine:
    """cores: this process may use; threads: torch does. memory_mb: binary megabytes, `None` where unknown.

    gpu: its name and memory, `None` where none is used. load: processes that wanted a core in the last
    minute, `None` where the system does not count them.
    """

    cores: int
    threads: int
    memory_mb: int | None
    gpu: str | None = None
    gpu_mb: int | None = None
    load: float | None = None

    @property
    def busy(self) -> bool:
        """Whether other work leaves less than all cores to what is timed here."""
        return self.load is not None and self.load > self.cores

    @property
    def sentence(self) -> str:
        """All of it.

        >>> Machine(2, 2, 8192, load=0.4).sentence
        '2 cores, 8.0 GB of memory, no GPU; load 0.4'
        >>> Machine(2, 2, None, load=5.1).sentence
        '2 cores, memory unknown, no GPU; load 5.1, so that times are longer than on a quiet machine'
        """
        cores = counted(self.cores, "core") + (f" ({self.threads} used)" if self.threads < self.cores else "")
        memory = "memory unknown" if self.memory_mb is None else f"{self.memory_mb / 1024:.1f} GB of memory"
        gpu = "no GPU" if self.gpu is None else f"{self.gpu} with {(self.gpu_mb or 0) / 1024:.0f} GB"
        load = "" if self.load is None else f"; load {self.load:.1f}"
        load += ", so that times are longer than on a quiet machine" if self.busy else ""
        return f"{cores}, {memory}, {gpu}{load}"

    def content(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def this_machine(device: str) -> Machine:
    """The machine as a run on this device ("cpu", "cuda", "cuda:1") finds it."""
    import torch

    gpu, gpu_mb = None, None
    if device.startswith("cuda"):
        facts = torch.cuda.get_device_properties(torch.device(device))
        gpu, gpu_mb = facts.name, facts.total_memory >> 20
    return Machine(_cores(), torch.get_num_threads(), _memory_mb(), gpu, gpu_mb, _load())


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (AttributeError, ValueError, OSError):
        return None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
