"""Any Python function of an ASE calculator as a property."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from ase.calculators.calculator import Calculator

from assay.plugins.importing import import_allowed
from assay.propagation.property import Quantities, Quantity, Structures


@dataclass(frozen=True)
class Function:
    """What `function(calculator)` returns: a number, an array (a curve over its index), or a mapping of names to such.

    | field | meaning |
    |---|---|
    | name | as the user wrote it |
    | path | `package.module.name` |
    | unit | of the numbers that are not `Quantity` themselves |
    | allow_import | modules (with all inside them) whose code may run |
    | given | the function itself, where the user gave it as an object |

    The function relaxes what it needs and raises `NotConverged`, or anything else, for a potential that fails. Other
    processes import it by its path.
    """

    name: str
    path: str
    unit: str = ""
    allow_import: tuple[str, ...] = field(default=(), compare=False)
    given: Callable[[Calculator], Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, function: Callable[[Calculator], Any], unit: str = "") -> Self:
        """A function at hand."""
        module = getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return cls(name, f"{module}.{name}", unit, given=function)

    @classmethod
    def from_words(
        cls,
        words: Sequence[str],
        options: Mapping[str, str],
        species: Sequence[str],
        allow_import: Sequence[str] = (),
    ) -> Self:
        """Of `function:package.module.name[,unit=UNIT]`; imports nothing yet."""
        if len(words) != 1 or not re.fullmatch(r"\w+(\.\w+)+", words[0]):
            raise ValueError(f"needs one package.module.name, got {', '.join(words) or 'none'}")
        if unknown := sorted(set(options) - {"unit"}):
            raise ValueError(f"knows the option unit=, not {', '.join(unknown)}")
        return cls(f"function:{words[0]}", words[0], options.get("unit", ""), tuple(allow_import))

    def start(self, calculator: Calculator) -> Structures:
        """Nothing; looks for the function.

        Raises
        ------
        PermissionError
            its module is not allowed
        ModuleNotFoundError, ValueError
            there is no such module, or no such function in it
        """
        self._function()
        return {}

    def code(self) -> Callable[[Calculator], Any] | None:
        """The function itself, if it can be had."""
        try:
            return self._function()
        except Exception:  # a module may raise anything, and does so again when it is run
            return None

    def quantities(self, calculator: Calculator, start: Structures) -> Quantities:
        """Raises `TypeError` for a value that is no number, array or mapping of these."""
        found = self._function()(calculator)
        values = found if isinstance(found, Mapping) else {self.name.removeprefix("function:"): found}
        return {str(name): self._quantity(str(name), value) for name, value in values.items()}

    def _quantity(self, name: str, value: Any) -> Quantity:
        if isinstance(value, Quantity):
            return value
        try:
            array = np.asarray(np.empty(0) if value is None else value, dtype=float)  # `None` would be NaN
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.ndim > 1 or not array.size:
            raise TypeError(f"{self.path}: {name} is {value!r}, needed a number or a one-dimensional array")
        if array.ndim == 0:
            return Quantity(float(array), self.unit)
        return Quantity(array, self.unit, np.arange(len(array), dtype=float), "index")

    def _function(self) -> Callable[[Calculator], Any]:
        if self.given is not None:
            return self.given
        found = import_allowed("function", self.path, self.allow_import)
        if not callable(found):
            raise ValueError(f"function: {self.path} is a {type(found).__name__}, not a function")
        return found  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        """Other processes import the function: it must have an importable name, and what was given is allowed."""
        if self.given is None:
            return self.__dict__
        module, _, name = self.path.rpartition(".")
        if module == "__main__" or getattr(sys.modules.get(module), name, None) is not self.given:
            raise ValueError(f"{self.path} is a function that other processes can't import: workers=1, or a module")
        return {**self.__dict__, "given": None, "allow_import": (*self.allow_import, module)}
