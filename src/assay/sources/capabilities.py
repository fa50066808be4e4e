"""What a source can do, as small protocols: others ask for these, never for its class.

A source declares its `kind`, and whatever else it can:

| protocol | what it adds |
|---|---|
| `Source` | predicts a frame |
| `HasMembers` | brings along potentials of its own fit, by name; one of them may give features with its predictions |
| `Runs` | has members that run, each as an ASE calculator |
| `Prepares` | evaluates many frames in batches before they are asked for one by one |
| `IsRecorded` | reads predictions back instead of computing them, of some frames or of all |
| `NamedByFrames` | knows its members once it has seen a frame |
| `HasFeatures` | gives features of atoms without the cost of predictions |
| `OnlyFeatures` | gives nothing else |
| `ByOrder` | reads a file whose rows belong to frames by their order |
| `HasDerivatives` | gives derivatives of features |
| `LinearSource` | gives the design rows of a potential that is linear in coefficients |
| `Corrects` | gives those of a correction of another potential |
| `Exports` | writes a fitted linear potential in another code's files |
| `HasCoefficients` | is a fitted linear potential: rows, best fit and members |
| `Around` | was fitted by Assay around another source, which it holds |

A source that wraps another one passes on what that can do; where that can't, it says so by an empty answer (no member
that runs, nothing recorded), as protocols are of classes and not of objects. Whether an object keeps a protocol is
found out by looking at its attributes, so that none of these may raise before the species or the members are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

from ase import Atoms
from ase.calculators.calculator import Calculator

from assay.execution.progress import Stage
from assay.frames.frame import Frame, LabelKeys
from assay.results.arrays import Array
from assay.results.design import Design
from assay.results.prediction import Prediction


@runtime_checkable
class Source(Protocol):
    """A potential that predicts; it can be sent to a worker process and written to a gauge file."""

    kind: ClassVar[str]

    @property
    def label(self) -> str:
        """One line for people: what this is, with its settings."""

    def predict(self, frame: Atoms) -> Prediction:
        """Predict one frame; raises `assay.frames.frame.FrameError` where the frame is at fault."""

    def state(self) -> dict[str, Any]:
        """A tree of JSON values and arrays from which `from_state` makes the same source again."""


@runtime_checkable
class HasMembers(Source, Protocol):
    """A source with M potentials that were fitted elsewhere: what species they know is theirs to say."""

    @property
    def member_names(self) -> tuple[str, ...]:
        """Names of the M members."""

    @property
    def member_rmse(self) -> tuple[float | None, ...]:
        """Force RMSE of each member as the user gives it, `(M,)` eV/Å; `()` or `None` where it is not known."""

    @property
    def featured(self) -> str:
        """The member whose last-layer features come with every prediction; `""` for none."""

    def only(self, names: Sequence[str]) -> Self:
        """This source with some of its members, in the order of `names`."""


@runtime_checkable
class Runs(Source, Protocol):
    """A source with members that are potentials that run."""

    @property
    def running(self) -> int:
        """How many of its members run."""

    def calculator(self, index: int | None = None) -> Calculator:
        """A new ASE calculator of member `index`; of their mean, or of the best fit, with `None`."""


@runtime_checkable
class Prepares(Protocol):
    """A source that evaluates frames in batches, one potential after the other, and keeps what they say."""

    def prepare(
        self,
        frames: Callable[[], Iterable[Frame]],
        *,
        workers: int = 1,
        total: int | None = None,
        stage: Stage | None = None,
    ) -> None:
        """Evaluate frames before they are asked for one by one; nothing where there is no place to keep it.

        | argument | meaning |
        |---|---|
        | frames | gives the frames anew for each potential |
        | workers | processes that evaluate one potential |
        | total | number of frames, for progress |
        | stage | told of each potential |
        """


@runtime_checkable
class IsRecorded(Source, Protocol):
    """A source that reads predictions back: they come with the frames, are in a file, or were kept."""

    def is_read(self, frame: Atoms) -> bool:
        """Whether what it says of this frame is read, and not computed."""


@runtime_checkable
class NamedByFrames(HasMembers, Protocol):
    """A source whose members are those that the first frame carries, where its settings name none."""

    def for_frame(self, frame: Atoms, keys: LabelKeys) -> Self:
        """This source, ready for frames like this one, whose labels are under `keys`."""


@runtime_checkable
class HasFeatures(Source, Protocol):
    """A source of features of atoms, without the cost of predictions."""

    @property
    def cutoff(self) -> float | None:
        """No atom farther away than this has a part in an atom's features, Å; `None` where that is not known."""

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """`(A, D)`; of the `first` atoms only, `(first, D)`, where the others are there as neighbours."""


@runtime_checkable
class OnlyFeatures(HasFeatures, Protocol):
    """A source of features and nothing else: no energies, no forces."""

    def for_species(self, species: Sequence[str]) -> Self:
        """This source, ready for frames with these chemical symbols where it names none itself."""

    def with_columns(self, columns: int) -> Self:
        """This source, which refuses features that are not D = `columns` numbers."""


@runtime_checkable
class ByOrder(Source, Protocol):
    """A source that may read a file whose rows belong to frames by their order, and are attached as these are read."""

    def detached(self) -> tuple[str, Self]:
        """That file, and the source without it; `""`, and the source as it is, where there is no such file."""


@runtime_checkable
class HasDerivatives(HasMembers, Protocol):
    """A source that can give derivatives of the features of one of its members."""

    def with_derivatives(self) -> Self:
        """This source, whose predictions have `feature_forces`. Raises `ValueError` where no member has features."""


@runtime_checkable
class LinearSource(Protocol):
    """A potential that is linear in its P coefficients: first the S constants of its species, then the others."""

    kind: ClassVar[str]

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols, S of them."""

    @property
    def label(self) -> str: ...

    @property
    def coefficients(self) -> int:
        """P."""

    @property
    def changes_forces(self) -> bool:
        """Whether forces depend on the coefficients; otherwise no member differs in them."""

    @property
    def cutoff(self) -> float | None:
        """As in `HasFeatures`."""

    def for_species(self, species: Sequence[str]) -> Self:
        """As in `OnlyFeatures`."""

    def design(self, frame: Atoms) -> Design:
        """The rows of one frame."""

    def predictions(self, frame: Atoms, coefficients: Array) -> Prediction:
        """What N coefficient vectors `(N, P)` say of one frame, as its members, in the way that is fastest."""

    def calculator(self, coefficients: Array) -> Calculator:
        """An ASE calculator of one coefficient vector `(P,)`, in the way that is fastest."""

    def features(self, frame: Atoms, first: int | None = None) -> Array:
        """The features of `design`, `(A, D)`, without the cost of force rows; `first` as in `HasFeatures`."""

    def state(self) -> dict[str, Any]: ...


class Learns(Protocol):
    """A fold over frames, from which the design rows of a correction follow."""

    def update(self, frame: Frame, said: Prediction) -> None:
        """One frame, and what the potential says of it."""

    def result(self) -> LinearSource:
        """The source that has design rows."""


@runtime_checkable
class Corrects(LinearSource, Prepares, Protocol):
    """A linear correction of another potential: it is fitted to what that leaves of the labels."""

    def told(self, frame: Atoms) -> Prediction:
        """What the potential says, with features; raises `FrameError` where it has none."""

    def learns(self) -> Learns:
        """A fold that the training frames go through before the fit."""


@runtime_checkable
class Exports(Protocol):
    """A linear source whose potentials can be written in files that another code runs."""

    export_format: ClassVar[str]

    def potential_files(self, coefficients: Array, name: str) -> Mapping[str, bytes]:
        """Suffix → content of the files called `name` of coefficients `(P,)`."""

    def grade_files(
        self, inverses: Mapping[int, Array], name: str, emptiness: Mapping[int, Array]
    ) -> Mapping[str, bytes]:
        """Those of γ, from the inverse of each active set `(D, D)` by atomic number; none where it can't be written.

        `emptiness`: where known, coefficients `(1 + D,)` of a constant and the features that γ is no less than.
        """


@runtime_checkable
class HasCoefficients(Runs, Protocol):
    """A fitted linear potential."""

    @property
    def rows(self) -> LinearSource:
        """The source of its design rows."""

    @property
    def theta(self) -> Array:
        """The best fit, `(P,)`."""

    @property
    def members(self) -> Array:
        """Those of the ensemble, `(M, P)`."""

    @property
    def posterior(self) -> str:
        """What the members were drawn from."""


@runtime_checkable
class Around(Source, Protocol):
    """A source that Assay fitted around another one: a gauge file holds both, and needs no origin of this one."""

    @property
    def fitted_around(self) -> Source | LinearSource:
        """The other one."""


AnySource: TypeAlias = Source | LinearSource
"""What predicts, or has the design rows of what will."""


def prepare(
    source: Source,
    frames: Callable[[], Iterable[Frame]],
    *,
    workers: int = 1,
    total: int | None = None,
    stage: Stage | None = None,
) -> None:
    """As `Prepares.prepare`; nothing for a source that has no use for it."""
    if isinstance(source, Prepares):
        source.prepare(frames, workers=workers, total=total, stage=stage)


def with_members_of_frames(
    source: HasMembers, settings: dict[str, Any], frames: Callable[[], Iterator[Frame]], keys: LabelKeys
) -> HasMembers:
    """The source, ready for frames like the first one, where that says which members there are.

    Their names are then added to the `settings` that tell of the source. `keys` are those of the labels.
    """
    if not isinstance(source, NamedByFrames):
        return source
    named = source.for_frame(next(frames()).atoms, keys)
    settings["models"] = list(named.member_names)
    return named


def running(source: Source) -> int:
    """How many members of a source are potentials that run."""
    return source.running if isinstance(source, Runs) else 0


def keeps_forces(source: Source | LinearSource) -> bool:
    """Whether no member of a linear potential differs in forces: only energies were fitted, or will be."""
    rows = source.rows if isinstance(source, HasCoefficients) else source
    return isinstance(rows, LinearSource) and not rows.changes_forces
