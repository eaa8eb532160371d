"""A scenario: a recipe in a YAML file under a name, and what it says of itself.

```yaml
about:
  title: Leather of one colour
  use: One article in one colour, photographed alike.
  avoid: Several colours in turn.
  cost: Two small networks; see the table.
  when: {colours: one, surface: texture}
members: {stfpm: {}, draem: {steps: 2000}}
```

What `about` leaves open fits any images. The rest of the file is a recipe (`leatherens config schema`).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from leatherens.core.params import Params
from leatherens.core.yaml_file import read_yaml


class Range(Params):
    """From `least` to `most`, both included; `None` where there is no bound."""

    least: Annotated[int, Field(ge=0)] | None = None
    most: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least ({self.least}) is above most ({self.most})")
        return self

    def holds(self, number: int) -> bool:
        """Whether a number lies within.

        >>> Range(most=16).holds(16), Range(least=2048).holds(1024)
        (True, False)
        """
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


class Conditions(Params):
    """What images a scenario is for; `None` means any.

    colours: of the good images. surface: the same all over, or a thing with parts. views: of the same parts
    from several cameras. images: good ones to learn from. side: the longer one of the photographs, in pixels.
    aligned: every image shows the part at the same place. budget: for when others cost too much.
    """

    colours: Literal["one", "several"] | None = None
    surface: Literal["texture", "object"] | None = None
    views: Literal["one", "several"] | None = None
    images: Range = Range()
    side: Range = Range()
    aligned: bool | None = None
    budget: Literal["tight"] | None = None


class Measured(Params):
    """What a scenario and others scored on one set of images.

    data: the set, with the number of images if it is not the whole one. command: what was typed.
    scores: metrics by name as metrics.json has them. against: the same of others, by what they are called.
    """

    data: str
    command: str
    scores: dict[str, float | None]
    against: dict[str, dict[str, float | None]] = Field(default_factory=dict)


class About(Params):
    """What a scenario says of itself: when to use it and when to avoid it, what it costs, a sentence each."""

    title: str
    use: str
    avoid: str
    cost: str
    when: Conditions = Conditions()
    measured: tuple[Measured, ...] = ()


class Scenario(ABC):
    """Plugin kind `scenarios`: a recipe that is picked by name, `leatherens run --config ID`.

    id: its name. file: the YAML file of its recipe. A plugin registers the file itself, as
    "package:folder/name.yaml", and this class is made around it.
    """

    id: ClassVar[str]
    file: ClassVar[Path]

    class Params(Params):
        """No options: those of a recipe are its keys."""

    @classmethod
    def around(cls, id: str, file: Path) -> type[Self]:
        """The class of the scenario in a file."""
        return type(cls.__name__, (cls,), {"id": id, "file": file, "__doc__": f"The recipe in {file.name}."})

    @classmethod
    def content(cls) -> Mapping[str, Any]:
        """What the file says."""
        return read_yaml(cls.file).content
