"""Classes that are asked for by name: those of Assay, and those that other packages add by entry points.

A package adds a score by the entry point `my_score = "my_package.module:MyScore"` of the group `assay.scores` in its
`pyproject.toml`; sources, calibrators and properties have groups of their own. Entry points are looked up where a name
is none of Assay's, or all names are listed; a package is imported where one of its names is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from assay.plugins.importing import import_allowed, import_path
from assay.results.warning import warn

K = TypeVar("K")
PLUGIN = "plugin"
"""Under which a file says where a class is from, beside its name; nothing for those of Assay."""


@dataclass(frozen=True)
class Kinds(Generic[K]):
    """All classes of one sort.

    | field | meaning |
    |---|---|
    | what | they are, in messages |
    | group | of entry points, such as `assay.scores` |
    | built_in | those of Assay by name |
    | named | the attribute in which a class says its name; `""` where it says none |
    | in_files | further ones of Assay that nobody asks for, but files may hold |
    """

    what: str
    group: str
    built_in: Mapping[str, K]
    named: str = "name"
    in_files: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """All that can be asked for: Assay's own, then those of other packages."""
        return (*self.built_in, *sorted({entry.name for entry in self._plugged()}))

    def find(self, name: str) -> K | None:
        """The class of this name; `None` where there is none.

        Raises `ModuleNotFoundError` or `RuntimeError` for a package that can't be imported, and `ValueError` where two
        packages have the name, or the class says that it is called something else.
        """
        if name in self.built_in:
            return self.built_in[name]
        entries = [entry for entry in self._plugged() if entry.name == name]
        if len(entries) > 1:
            packages = " and ".join(sorted(map(package_of, entries)))
            raise ValueError(f"{packages} both have a {self.what} {name!r}: uninstall one of them")
        return self._loaded(entries[0]) if entries else None

    def origin(self, name: str, kind: Any) -> dict[str, str] | None:
        """What a file says of a class beside its name, so that it is found again; `None` if that can't be.

        Nothing for Assay's own; else the `package` that has it as an entry point, or the import path of the `class`.
        """
        if kind in (self.built_in.get(name), self.in_files.get(name)):
            return {}
        for entry in self._plugged():
            if entry.name == name and self._loaded(entry) is kind:
                return {"package": package_of(entry)}
        path = import_path(kind) if isinstance(kind, type) else ""
        return {"class": path} if path else None

    def require_origin(self, name: str, kind: Any) -> dict[str, str]:
        """As `origin`; raises `ValueError` where a file that names the class could not be loaded."""
        found = self.origin(name, kind)
        if found is None or not hasattr(kind, "from_state"):
            lacks = "it has no from_state" if found is not None else "no module has it under its name"
            raise ValueError(
                f"a gauge file could not be loaded again with the {self.what} {name!r}, which is {kind!r}: {lacks}. "
                "Put the class into a module that can be imported, with from_state, or into a package that has it as "
                f"an entry point of the group {self.group} (docs/plugins.md)"
            )
        return found

    def of_file(self, name: str, origin: Mapping[str, str], allow_import: Sequence[str] = ()) -> K:
        """The class that a file names.

        Raises `PermissionError` for a class of a module that is not allowed, `ModuleNotFoundError` for a package that
        is not installed, and `ValueError` for a name that is not known.
        """
        if not isinstance(origin, Mapping) or not all(isinstance(each, str) for each in origin.values()):
            raise ValueError(f"the gauge file says of its {self.what} {name!r} that it is from {origin!r}")
        if path := origin.get("class"):
            found = import_allowed(f"{self.what} {name}", path, allow_import)
            if not isinstance(found, type):
                raise ValueError(f"{self.what} {name}: {path} is a {type(found).__name__}, not a class")
            if not hasattr(found, "from_state"):
                raise ValueError(f"{self.what} {name}: {path} has no from_state, so no file can hold one")
            return cast(K, found)
        if package := origin.get("package"):
            if name in self.built_in:
                raise ValueError(
                    f"the gauge file has a {self.what} {name!r} of the package {package}, and this Assay has one of "
                    "its own by that name: load it with the Assay that built it"
                )
            return self._of_package(name, package)
        own: K | None = self.built_in.get(name) or self.in_files.get(name)
        if own is None:
            raise ValueError(f"unknown {self.what} {name!r} in the gauge file; there are {', '.join(self.names())}")
        return own

    def _of_package(self, name: str, package: str) -> K:
        """The class of this name, of the package that the file names and no other: whoever installed that trusts it."""
        wanted = package.partition(" ")[0]
        has_name = [entry for entry in self._plugged() if entry.name == name]
        for entry in has_name:
            if package_of(entry).partition(" ")[0] == wanted:
                return self._loaded(entry)
        others = ", ".join(map(package_of, has_name))
        raise ModuleNotFoundError(
            f"the gauge file has a {self.what} {name!r} of the package {package}, which is not installed here"
            f"{f', where {others} has one of that name' if others else ''}: install it, if you trust it"
        )

    def _plugged(self) -> list[EntryPoint]:
        """Entry points of other packages; one that has the name of Assay's own is not used, with a warning."""
        entries = []
        for entry in entry_points(group=self.group):
            if entry.name in self.built_in:
                warn(
                    f"the package {package_of(entry)} has a {self.what} {entry.name!r}, which is the name of one of "
                    "Assay's own: it is not used",
                    stacklevel=3,
                )
            else:
                entries.append(entry)
        return entries

    def _loaded(self, entry: EntryPoint) -> K:
        of = f"the {self.what} {entry.name!r} is of the package {package_of(entry)}"
        again = f"pip install --upgrade --force-reinstall {package_of(entry).partition(' ')[0]}"
        try:
            found = entry.load()
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{of}, which needs the module {error.name}: install that, or the package anew ({again})"
            ) from error
        except Exception as error:  # a module may raise anything when it is imported
            raise RuntimeError(f"{of}, which can't be imported ({type(error).__name__}: {error}): {again}") from error
        if self.named and (own := getattr(found, self.named, None)) != entry.name:
            raise ValueError(f"{of}, where it says {self.named} = {own!r}: both names must be the same")
        return cast(K, found)


def package_of(entry: EntryPoint) -> str:
    """Name and version of the package that has an entry point."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
