"""Options refused in words, and what every replaceable part does with what it learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import torch
from pydantic import Field, ValidationError, model_validator
from torch import nn
from typing_extensions import Self

from leatherens.core.artifact import read_state, write_state
from leatherens.core.component import Component
from leatherens.core.errors import ArtifactError, ConfigError, LeatherensError, NotFittedError, did_you_mean
from leatherens.core.params import Params, parse_params


class Options(Params):
    """Options of a stand-in."""

    epochs: Annotated[int, Field(gt=0)] = 60
    weights: str = "pretrained"
    rate: float = 0.1


class Needy(Params):
    """One option that must be given, and two that must agree."""

    size: int
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class NoOptions(Params):
    """Nothing to choose."""


@pytest.mark.parametrize(
    ("schema", "options", "sentence"),
    [
        (
            Options,
            {"epoch": 3},
            "member: unknown option 'epoch'; did you mean 'epochs'? (options: epochs, rate, weights)",
        ),
        (Options, {"zebra": 3}, "member: unknown option 'zebra' (options: epochs, rate, weights)"),
        (NoOptions, {"zebra": 3}, "member: unknown option 'zebra' (it has none)"),
        (Options, {"epochs": 0}, "member: option 'epochs': input should be greater than 0, got 0"),
        (
            Options,
            {"epochs": "many"},
            "member: option 'epochs': input should be a valid integer, unable to parse string as an integer, "
            "got 'many'",
        ),
        (
            Options,
            {"rate": float("nan")},
            "member: option 'rate': input should be a finite number, got nan",
        ),
        (Needy, {}, "member: option 'size' is required"),
        (Needy, {"size": 3, "low": 2}, "member: low must not be above high"),
        (
            Options,
            {"epochs": 0, "wieghts": "x"},
            "member: option 'epochs': input should be greater than 0, got 0\n"
            "member: unknown option 'wieghts'; did you mean 'weights'? (options: epochs, rate, weights)",
        ),
    ],
)
def test_parse_params__refuses_in_words(schema: type[Params], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(schema, options, owner="member")
    assert str(caught.value) == sentence


def test_parse_params__fills_in_defaults_and_leaves_the_mapping_alone() -> None:
    options = {"epochs": 5}
    assert parse_params(Options, options, owner="member") == Options(epochs=5, weights="pretrained", rate=0.1)
    assert options == {"epochs": 5}


def test_params__cannot_be_changed_or_extended() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Options().epochs = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Options(epoch=3)  # type: ignore[call-arg]


def test_params__check_their_defaults() -> None:
    class Wrong(Params):
        """A default that its own rule forbids."""

        share: Annotated[float, Field(gt=0)] = 0.0

    with pytest.raises(ValidationError, match="greater than 0"):
        Wrong()


def test_errors__are_one_tree_with_an_exit_code() -> None:
    assert issubclass(ConfigError, LeatherensError)
    assert LeatherensError("x").exit_code == 2


@pytest.mark.parametrize(
    ("word", "known", "clause"),
    [
        ("stfmp", ["draem", "stfpm"], "; did you mean 'stfpm'?"),
        ("zebra", ["draem", "stfpm"], ""),
        ("anything", [], ""),
    ],
)
def test_did_you_mean__names_the_nearest_or_nothing(word: str, known: list[str], clause: str) -> None:
    assert did_you_mean(word, iter(known)) == clause


# components


class Shelf(Component):
    """Learns a tensor, plain values and a module."""

    id: ClassVar[str] = "shelf"

    class Params(Params):
        """width: of the layer."""

        width: int = 3

    def fit(self, value: float) -> Self:
        self.forget()
        self.mean_ = torch.full((2,), value)
        self.names_ = ["a", "b"]
        self.note_ = None
        self._build()
        self.layer_.weight.data.fill_(value)
        self._scratch_ = "not learned"
        return self

    def _build(self) -> None:
        self.layer_ = nn.Sequential(nn.Linear(self.params.width, 1), nn.BatchNorm1d(1))[0]


def test_component__stores_options_and_nothing_else() -> None:
    shelf = Shelf(Shelf.Params(width=4))
    assert vars(shelf) == {"params": Shelf.Params(width=4)}
    assert Shelf().params == Shelf.Params()
    assert repr(Shelf.from_options({"width": 4})) == "Shelf(width=4)"


def test_from_options__names_the_component() -> None:
    with pytest.raises(
        ConfigError, match=r"^shelf: unknown option 'widht'; did you mean 'width'\? \(options: width\)$"
    ):
        Shelf.from_options({"widht": 4})


def test_fitted__follows_from_what_was_learned() -> None:
    shelf = Shelf()
    assert not shelf.fitted
    with pytest.raises(
        NotFittedError, match=r"^shelf: state was called before fit; call fit first or load a fitted run$"
    ):
        shelf.state()
    shelf.fit(1.0)
    assert shelf.fitted
    shelf.forget()
    assert not shelf.fitted
    assert not hasattr(shelf, "layer_")


def test_state__holds_what_was_learned_flat() -> None:
    state = Shelf().fit(2.0).state()
    assert set(state) == {"mean_", "names_", "note_", "layer_.weight", "layer_.bias"}
    assert not any(isinstance(v, torch.Tensor) and v.requires_grad for v in state.values())


def test_state__comes_back_through_files(tmp_path: Path) -> None:
    shelf = Shelf().fit(2.0)
    write_state(tmp_path, shelf.state())
    back = Shelf.from_state(shelf.params, read_state(tmp_path))
    assert back.fitted
    assert torch.equal(back.mean_, shelf.mean_)
    assert (back.names_, back.note_) == (["a", "b"], None)
    assert torch.equal(back.layer_.weight, shelf.layer_.weight)
    assert not back.layer_.training


@pytest.mark.parametrize(
    ("change", "misfit"),
    [
        ({"layer_.bias": None}, "'bias' is missing (1 missing and 0 unknown tensors)"),
        ({"layer_.extra": torch.zeros(1)}, "'extra' is not known (0 missing and 1 unknown tensors)"),
        ({"layer_.weight": torch.zeros(1, 5)}, "'weight' should be (1, 3), got (1, 5)"),
    ],
)
def test_from_state__refuses_a_state_that_does_not_fit(change: dict[str, Any], misfit: str) -> None:
    state = {
        k: v
        for k, v in (dict(Shelf().fit(2.0).state()) | change).items()
        if k != "layer_.bias" or v is not None
    }
    with pytest.raises(ArtifactError) as caught:
        Shelf.from_state(Shelf.Params(), state)
    assert str(caught.value) == (
        f"shelf: the stored state does not fit layer_: {misfit}; it is damaged, or of other options"
    )


def test_to__moves_tensors_and_modules_and_returns_the_component() -> None:
    shelf = Shelf().fit(1.0)
    assert shelf.to("meta") is shelf
    assert (shelf.mean_.device.type, shelf.layer_.weight.device.type) == ("meta", "meta")
