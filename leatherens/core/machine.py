"""The machine in a few words: speeds and the last digits of a score depend on it."""

from __future__ import annotations

import platform
from pathlib import Path


def machine_of(device: str) -> str:
    """The GPU that is computed on, or the processor and its threads.

    device: "cpu", "cuda" or "cuda:1".
    """
    import torch

    threads = torch.get_num_threads()
    processor = f"{_processor()}, {threads} thread{'' if threads == 1 else 's'}"
    if not device.startswith("cuda"):
        return processor
    return f"{torch.cuda.get_device_name(device)}, {processor}"


def _processor() -> str:
    """Its name where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
