"""The command line: one file per verb, exit codes 0 (done), 1 (error), 2 (usage), 3 (`predict --fail-above`)."""

from __future__ import annotations

import shlex
import sys
import warnings

import click

from assay import __version__
from assay.cli.build import build
from assay.cli.calibrate import calibrate
from assay.cli.demo import demo
from assay.cli.evaluate import evaluate
from assay.cli.export import export
from assay.cli.info import info
from assay.cli.predict import predict
from assay.cli.propagate import propagate
from assay.cli.select import select
from assay.cli.tables import note


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="assay")
def cli() -> None:
    """Error bars you can trust on machine-learned interatomic potentials."""


for verb in (build, predict, evaluate, calibrate, select, propagate, export, info, demo):
    cli.add_command(verb)


def main() -> None:
    """Run the command line; errors that a user can mend are one message without a traceback."""
    warnings.showwarning = lambda message, *rest, **more: note(f"warning: {message}")
    try:
        sys.exit(cli.main(standalone_mode=False, obj=shlex.join(["assay", *sys.argv[1:]])) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2 if isinstance(error, click.UsageError) else 1)
    except (KeyboardInterrupt, click.Abort):
        note("interrupted; no file is half-written")
        sys.exit(1)
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        note(f"error: {error}")
        sys.exit(1)
