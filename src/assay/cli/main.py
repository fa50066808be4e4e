"""The command line: one file per verb, exit codes 0 (done), 1 (error), 2 (usage), 3 (`predict --fail-above`)."""

from __future__ import annotations

import shlex
import sys
import warnings
from importlib import import_module

import click

from assay import __version__
from assay.cli.signals import end_as_interrupted
from assay.cli.tables import note
from assay.results.visible import visible
from assay.results.warning import AssayWarning, listening
from assay.storage.files import unfinished

VERBS = (
    "build",
    "predict",
    "evaluate",
    "compare",
    "calibrate",
    "members",
    "select",
    "propagate",
    "distil",
    "export",
    "info",
    "demo",
)


class Verbs(click.Group):
    """Imports the module of a verb when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"assay.cli.{name}"), name)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="assay")
def cli() -> None:
    """Error bars you can trust on machine-learned interatomic potentials."""


def main() -> None:
    """Run the command line; errors that a user can mend are one message without a traceback.

    Assay's own warnings are heard, whatever filters there are, and those of other packages are shown as their filters
    say.
    """
    warnings.showwarning = lambda message, *rest, **more: note(f"warning: {message}")
    warnings.simplefilter("ignore", AssayWarning)
    end_as_interrupted()
    with listening(lambda message: note(f"warning: {message}")):
        _run()


def _run() -> None:
    try:
        with unfinished():  # errors of writing name the file
            sys.exit(cli.main(standalone_mode=False, obj=shlex.join(["assay", *sys.argv[1:]])) or 0)
    except click.ClickException as error:
        vars(error)["message"] = visible(error.message)
        error.show()
        sys.exit(2 if isinstance(error, click.UsageError) else 1)
    except (KeyboardInterrupt, click.Abort):
        note("interrupted; no file is half-written")
        sys.exit(1)
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        note(f"error: {error}")
        sys.exit(1)
    except MemoryError as error:
        note(f"error: not enough memory{f' ({error})' if str(error) else ''}")
        sys.exit(1)
