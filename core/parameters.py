"""One decorator for every set of parameters that an engineer can write in YAML.

Rule: limits are declared once, as `Annotated[float, Unit..., Gt(0)]`; constructors do not check
them, only the loader does. A field's `Unit` tells the loader which units YAML may give it in; the
YAML key is the field's name without its unit suffix (`period_s` is written `period: 15 min`).
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


class Unreadable(ValueError):  # noqa: N818 - it says what a text is, as StopIteration does
    """A text that is not the value that is wanted here.

    Attributes:
        what: What is wrong with it.
        hint: What to write instead.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}; {hint}")
        self.what = what
        self.hint = hint


@dataclass_transform(frozen_default=True, kw_only_default=True)
def parameters(cls: type[T]) -> type[T]:
    """Return `cls` as a frozen, slotted, keyword-only dataclass that pydantic checks strictly.

    Without the attribute set here pydantic would let unknown keys and NaN through.
    """
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # type: ignore[attr-defined] # pydantic's own hook
    return made
