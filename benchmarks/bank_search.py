"""What an inexact index saves and misses: seconds to make it, milliseconds an image, recall, excess distance.

    OMP_NUM_THREADS=1 python benchmarks/bank_search.py [--images 40] [--rows 20000] DATA...

The bank is a random choice of so many of PatchCore's descriptors (quick effort, 256 x 256) of good images;
the queries are the descriptors of the test images, the good ones for the recall. Times are processor time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from core_sets import setting

from leatherens.core.host import PluginHost
from leatherens.core.memory_bank import MemoryBank
from leatherens.core.progress import Silent
from leatherens.core.randomness import torch_generator
from leatherens.core.rows import rows_of
from leatherens.core.search_index import SearchParams

INDEXES = ("Flat", "HNSW32", "IVF256,Flat", "IVF256,SQ8", "IVF256,PQ19")
"""152 channels are 19 times 8."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("data", type=Path, nargs="+", help="folders of photographs")
    options = parser.parse_args()
    print("| set | rows | index | make s | ms/image | recall | excess |")
    print("|---|---|---|---|---|---|---|")
    for data in options.data:
        here = setting(data, PluginHost(installed=False), options.images)
        order = torch.randperm(len(here.rows), generator=torch_generator(0, "bank"))
        rows = here.rows[order[: options.rows]]
        defective = [bool(sample.defective) for sample in here.source.samples]
        maps = torch.cat(here.test)
        good = [rows_of(maps[i : i + 1]) for i, wrong in enumerate(defective) if not wrong]
        for index in INDEXES:
            start = time.process_time()
            bank = MemoryBank(rows, SearchParams(index=index))
            made = time.process_time() - start
            start = time.process_time()
            for batch in maps.split(8):
                bank.nearest(batch, 1)
            each = (time.process_time() - start) / len(maps)
            found = bank.recall(good, seed=0, name="bank", progress=Silent())
            cells = [data.name, len(rows), index, f"{made:.1f}", f"{each * 1000:.0f}"]
            cells += [f"{found['recall']:.3f}", f"{found['excess']:.4f}"]
            print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
