"""Features from a Python function `Atoms → (A, D)`, named by its import path or given as an object.

A gauge file is data and may come from anyone: the function that it names is imported only from modules that the user
allows, and only when a frame is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from ase import Atoms

from assay.plugins.importing import import_allowed, import_path
from assay.results.arrays import Array
from assay.results.prediction import Prediction
from assay.sources.features.file import checked_features
from assay.sources.settings import Kinds, checked_settings

FUNCTION = r"\w+(\.\w+)*:\w+"


@dataclass(frozen=True)
class PythonCallable:
    """A function of a frame as a source of features: no predictions.

    | field | meaning |
    |---|---|
    | function | `package.module:name`; `""` for one that can't be imported, which lives as long as the session |
    | cutoff | how far an atom's features reach, Å; `None` where that is not known |
    | columns | D; `None` for any |
    | allow_import | modules (with all inside them) whose code may run; never saved |
    | given | the function itself, where the user gave it as an object |
    """

    kind: ClassVar[str] = "callable"

    function: str
    cutoff: float | None = None
    columns: int | None = None
    allow_import: tuple[str, ...] = ()
    given: Callable[[Atoms], Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.function and not re.fullmatch(FUNCTION, self.function):
            raise ValueError(f"callable: function is package.module:name, got {self.function!r}")

    @classmethod
    def of(cls, function: Callable[[Atoms], Any]) -> PythonCallable:
        """A function at hand; its attribute `cutoff` counts if it has one."""
        found = import_path(function)
        path = found if re.fullmatch(FUNCTION, found) else ""
        return cls(path, cutoff=getattr(function, "cutoff", None), given=function)

    @property
    def label(self) -> str:
        return f"features of {self.function or 'a Python function of this session'}, D = {self.columns}"

    def predict(self, frame: Atoms) -> Prediction:
        """The function's `(A, D)` features of a copy of the frame.

        Raises
        ------
        FrameError
            values of another shape or not numbers
        PermissionError
            the function is of a module that is not allowed
        ModuleNotFoundError, ValueError
            there is no such module, or no such function in it
        """
        return Prediction(features=checked_features(self._function(frame.copy()), len(frame), self.columns))

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """`(A, D)`, or of the `first` atoms; raises as `predict`."""
        features = self.predict(frame).features
        assert features is not None
        return features[:first]

    def for_species(self, species: Sequence[str]) -> PythonCallable:
        """The same: the function takes any."""
        return self

    def with_columns(self, columns: int) -> PythonCallable:
        """For D features alone."""
        return replace(self, columns=columns)

    @cached_property
    def _function(self) -> Callable[[Atoms], Any]:
        if self.given is not None:
            return self.given
        found = import_allowed(self.kind, self.function, self.allow_import)
        if not callable(found):
            raise ValueError(f"callable: {self.function} is a {type(found).__name__}, not a function")
        return found  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        """Other processes import the function: it must have a name, and what was given as an object is allowed."""
        if not self.function:
            raise ValueError(f"callable: {_NO_NAME}, so other processes can't have it: workers=1")
        allowed = (self.function.partition(":")[0],) if self.given else ()
        kept = {key: value for key, value in self.__dict__.items() if key != "_function"}
        return {**kept, "given": None, "allow_import": (*self.allow_import, *allowed)}

    def state(self) -> dict[str, Any]:
        """Import path and settings; not what the user allowed. Raises `ValueError` for a function without a name."""
        if not self.function:
            raise ValueError(f"callable: {_NO_NAME}, so a gauge file can't name it: put it in a module")
        return {"function": self.function, "cutoff": self.cutoff, "columns": self.columns}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], allow_import: Sequence[str] = ()) -> PythonCallable:
        """The function that settings name; imports nothing yet, and later only what is allowed now."""
        own = {"function": "", **checked_settings(cls.kind, _KINDS, settings)}
        if not own["function"]:
            raise ValueError("callable: give function=package.module:name")
        return cls(**own, allow_import=tuple(allow_import))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], allow_import: Sequence[str] = ()) -> PythonCallable:
        return cls.from_settings(state, allow_import)


_KINDS: Kinds = {"function": (str, False), "cutoff": (int | float, False), "columns": (int, False)}
_NO_NAME = "the function is not one that package.module:name imports (a lambda, a method, or of __main__)"
