"""PyOD behind the head: chosen by name, steady, stored without pickle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from leatherens_pyod.catalogue import detectors
from leatherens_pyod.head import PyODHead
from pyod.models.knn import KNN

from leatherens import FitContext
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.global_state import changed, global_state
from leatherens.core.randomness import torch_generator
from leatherens.testing.reloading import reloaded
from leatherens.testing.stand_ins import random_pool

STEADY = ("CBLOF", "GMM", "HBOS", "IForest", "INNE", "KDE", "KNN", "LODA", "LOF", "MCD", "OCSVM", "PCA")


def maps(count=3, channels=4, *path):
    return torch.randn(count, channels, 6, 8, generator=torch_generator(0, "maps", *path))


def fitted(**options):
    good = [(maps(), None), (maps(2, 4, "more"), None)]
    return PyODHead.from_options(options).fit(good, validation=[], context=FitContext(random_pool()))


@pytest.mark.parametrize("model", STEADY)
def test_model__scores_strange_positions_higher_each_by_itself_and_the_same_when_loaded(model):
    before = global_state()
    head, seen = fitted(model=model), maps(2, 4, "seen")
    seen[1, :, 2, 5] = 6.0
    scores = head.score(seen, (48, 64))

    assert changed(before, global_state()) == []
    assert scores.image[1] > scores.image[0]
    assert divmod(int(scores.pixels[1].argmax()), 64) == (pytest.approx(20, abs=6), pytest.approx(44, abs=6))
    alone = head.score(seen[1:], (48, 64))
    assert torch.allclose(alone.pixels[0], scores.pixels[1], rtol=1e-5)
    assert torch.equal(reloaded(head).score(seen, (48, 64)).pixels, scores.pixels)


def test_scores__are_those_of_pyod():
    head, seen = fitted(model="KNN", options={"n_neighbors": 3}, smoothing=0), maps(1, 4, "seen")
    rows = seen[0].permute(1, 2, 0).reshape(-1, 4).numpy().astype(np.float64)
    expected = KNN(n_neighbors=3).fit(head.rows_.numpy().astype(np.float64)).decision_function(rows)

    assert head.score(seen, (6, 8)).pixels.flatten().tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@pytest.mark.parametrize("model", ["ECOD", "COPOD"])
def test_model_that_ranks_the_batch__is_refused(model):
    with pytest.raises(
        ConfigError, match=f"pyod: model {model}: its score of a position depends on which others"
    ):
        fitted(model=model)


def test_model_that_cannot_score_anything_new__is_refused():
    with pytest.raises(ConfigError, match="pyod: model MAD: cannot be fitted: ValueError"):
        fitted(model="MAD")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "knn"}, "pyod: pyod.models has no 'knn'; did you mean 'KNN'? (it has: "),
        ({"model": "IForrest"}, "did you mean 'IForest'?"),
        (
            {"model": "KNN", "options": {"n_neighbours": 3}},
            "pyod: no option 'n_neighbours' of KNN; did you mean 'n_neighbors'? (it has: contamination, ",
        ),
    ],
)
def test_misspelt_options__are_refused_with_the_nearest(options, sentence):
    with pytest.raises(ConfigError) as found:
        PyODHead.from_options(options)

    assert sentence in str(found.value)


def test_wrong_value__is_refused_in_pyods_words():
    with pytest.raises(ConfigError, match=r"pyod: model KNN: cannot be fitted: .*contamination"):
        fitted(model="KNN", options={"contamination": 3.0})


def test_max_rows__bounds_what_is_stored_and_the_seed_decides():
    head = fitted(max_rows=50)

    assert head.rows_.shape == (50, 4)
    assert torch.equal(fitted(max_rows=50).rows_, head.rows_)


def test_another_library_version__is_noticed():
    head = fitted(model="IForest")
    state = dict(head.state())
    state["expected_"] = [value + 0.1 for value in state["expected_"]]

    with pytest.raises(ArtifactError, match="scores otherwise than it did"):
        PyODHead.from_state(head.params, state)


def test_catalogue__has_the_well_known_ones_and_none_of_graphs():
    listed = detectors()

    assert {*STEADY, "ECOD", "ABOD", "AutoEncoder"} <= set(listed)
    assert not {"DOMINANT", "BaseDetector", "XGBOD"} & set(listed)
    assert "n_neighbors" in listed["KNN"].options
