"""Every member that comes with leatherens keeps the contract that strangers' members are held to."""

from __future__ import annotations

from functools import partial
from typing import Any

from leatherens.core.host import PluginHost
from leatherens.testing import parametrize_members

HOST = PluginHost(installed=False)

TINY: dict[str, dict[str, Any]] = {
    "patchcore": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "pretrain_embed_dimension": None,
        "target_embed_dimension": None,
    },
    "padim": {"backbone": "test_resnet", "layers": [0, 1], "dimensions": 12},
    "simplenet": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "pretrain_embed_dimension": None,
        "target_embed_dimension": None,
        "hidden": 32,
        "noise": "relative",
        "noise_std": 1.5,
        "dsc_lr": 5e-3,
        "proj_lr": 1e-3,
        "batch_size": 4,
        "steps": 60,
    },
    "cfa": {"backbone": "test_resnet", "layers": [0, 1], "gamma_c": 4, "steps": 40},
    "cflow": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "coupling_blocks": 2,
        "condition_vec": 8,
        "rotation": 0,
        "batch_size": 4,
        "steps": 12,
        "learning_rate": 1e-2,
    },
    "fastflow": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "flow_steps": 4,
        "layer_norm": "plain",
        "batch_size": 4,
        "steps": 40,
        "learning_rate": 1e-2,
    },
    "cse": {"backbone": "test_resnet", "layers": [1, 2], "embedding": 8, "batch_size": 4, "steps": 40},
    "mixed-teacher": {
        "texture_backbone": "test_resnet",
        "semantic_backbone": "test_resnet",
        "texture_layers": [1],
        "semantic_layers": [2],
        "batch_size": 4,
        "steps": 40,
    },
    "cs-flow": {
        "backbone": "test_resnet",
        "layer": 2,
        "stages": False,
        "hidden": 16,
        "kernels": [3, 3],
        "batch_size": 4,
        "learning_rate": 1e-2,
        "steps": 20,
    },
    "ast": {
        "backbone": "test_resnet",
        "layer": 1,
        "stages": False,
        "kernels": [3, 3],
        "hidden": 16,
        "width": 32,
        "blocks": 1,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "steps": 30,
    },
    "reverse-distillation": {"backbone": "test_resnet", "layers": [0, 1], "batch_size": 4, "steps": 30},
    "rd-plus-plus": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "batch_size": 4,
        "parts": 1,
        "transport": False,
        "steps": 20,
    },
    "stfpm": {"backbone": "test_resnet", "layers": [0, 1], "batch_size": 4, "steps": 30},
    "mse-autoencoder": {
        "patch": 32,
        "latent": 8,
        "width": 4,
        "batch_size": 8,
        "steps": 40,
        "learning_rate": 1e-2,
        "step": 16,
        "frame": 4,
    },
    "ssim-autoencoder": {
        "patch": 32,
        "latent": 8,
        "width": 4,
        "batch_size": 8,
        "steps": 40,
        "learning_rate": 1e-2,
        "step": 16,
        "frame": 4,
    },
    "draem": {
        "width": 4,
        "discriminative_width": 16,
        "steps": 40,
        "batch_size": 4,
        "crop": 32,
        "learning_rate": 5e-3,
        "beta": [0.0, 0.2],
        "clean_share": 0.3,
        "rotated_share": 0.0,
        "perlin_exponents": [0, 2],
    },
    "cutpaste": {
        "backbone": "test_resnet",
        "layers": [1, 3],
        "batch_size": 4,
        "steps": 20,
        "learning_rate": 0.003,
    },
    "memseg": {
        "backbone": "test_resnet",
        "memory": 4,
        "itself": False,
        "scaled": True,
        "width": 8,
        "batch_size": 4,
        "steps": 60,
    },
    "ddad": {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "width": 16,
        "multipliers": [1, 2],
        "attention": [2],
        "heads": 2,
        "patch": 2,
        "predicts": "image",
        "learned_times": "asked",
        "exact": True,
        "batch_size": 4,
        "steps": 100,
        "learning_rate": 5e-3,
        "skip": 125,
        "conditioning": 0,
        "adaptation_steps": 2,
        "adaptation_batch": 4,
    },
}
"""Options that learn the kit's scene within seconds; a detector without an entry is tried as it comes."""


PARTS = ("score_fusions", "calibrators", "thresholds", "preparations")

NEEDED: dict[str, dict[str, Any]] = {"mask": {"polygons": [[[30, 20], [90, 20], [30, 80]]]}}
"""Options of parts that say nothing by themselves."""

DETECTORS = [
    partial(HOST.detectors().load(id).from_options, TINY.get(id, {})) for id in HOST.detectors().ids()
]
MADE_PARTS = [
    partial(part.from_options, NEEDED[id]) if id in NEEDED else part
    for kind in PARTS
    for id in HOST.registry(kind).ids()
    for part in [HOST.registry(kind).load(id)]
]


@parametrize_members(*DETECTORS)
def test_detector_conforms(check):
    check()


@parametrize_members(*MADE_PARTS)
def test_part_conforms(check):
    check()
