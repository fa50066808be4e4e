"""Train a small MACE potential on the silicon that ships with Assay, with mace-torch in another environment.

    python tests/sources/train_mace.py FOLDER [--python ENVIRONMENT/bin/python] [--epochs 15] [--seed 0]

writes FOLDER/silicon.model. One core: 3 s for an epoch; after 15 the errors on the calibration frames are 0.16 eV/Å
and 70 meV/atom.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
from pathlib import Path

from assay.verbs.demo import demo_data

MODEL = "ScaleShiftMACE --r_max 4.5 --num_channels 16 --max_L 0 --num_interactions 2 --correlation 2 --E0s average"
LABELS = "--energy_key REF_energy --forces_key REF_forces --stress_key REF_stress"
FIT = "--loss universal --batch_size 4 --lr 0.01 --eval_interval 5 --default_dtype float64 --device cpu"


def train(folder: Path, python: str, epochs: int, seed: int) -> Path:
    """The path of the trained model."""
    for part in ("train", "calibration"):
        (folder / f"{part}.extxyz").write_bytes(gzip.decompress(demo_data(part).read_bytes()))
    command = [python, "-m", "mace.cli.run_train", "--name", "silicon", "--model", *MODEL.split(), *LABELS.split()]
    command += ["--train_file", "train.extxyz", "--valid_file", "calibration.extxyz", *FIT.split()]
    command += ["--max_num_epochs", str(epochs), "--seed", str(seed)]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder / "silicon.model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter of an environment with mace-torch")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    train(args.folder, args.python, args.epochs, args.seed)


if __name__ == "__main__":
    main()
