"""Writes `reference_metatrain.json`: what metatrain's LLPR makes of the features of `frames()`.

    python tests/scores/reference_metatrain.py

metatrain 2026.4.1 needs an environment of its own. Its `LLPRUncertaintyModel` wraps a model that looks features up, and
then runs as it is: covariance, Cholesky factors at each regulariser, uncertainties of frames and of atoms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_suffix(".json")
D = 6
REGULARISERS = (1e-8, 1e-3, 0.1)
FITTED = 30


def frames(seed: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    """40 frames of 1 to 9 atoms of Mo and W, features `(A, D)` and atomic numbers; the last columns are dependent."""
    rng = np.random.default_rng(seed)
    made = []
    for count in rng.integers(1, 10, size=40):
        numbers = rng.choice([42, 74], size=count)
        features = np.tanh(rng.normal(size=(count, D)) + 0.5 * (numbers == 74)[:, None])
        features[:, -1] = features[:, 0] - 2.0 * features[:, 1]
        made.append((features, numbers))
    return made


def found() -> dict[str, Any]:
    """Standard deviations at each regulariser: of the energies of all frames, and of the atoms of the last ones."""
    import torch
    from metatensor.torch import Labels, TensorBlock, TensorMap
    from metatomic.torch import ModelCapabilities, ModelOutput, System
    from metatrain.llpr import LLPRUncertaintyModel
    from metatrain.utils.data import Dataset, DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info

    given = frames()

    def mapped(values: torch.Tensor, samples: Labels) -> TensorMap:
        properties = Labels(["p"], torch.arange(values.shape[1], dtype=torch.int32)[:, None])
        block = TensorBlock(values=values, samples=samples, components=[], properties=properties)
        return TensorMap(Labels(["_"], torch.tensor([[0]], dtype=torch.int32)), [block])

    class LookUp(torch.nn.Module):
        last_layer_feature_size = D

        def supported_outputs(self) -> dict[str, ModelOutput]:
            return {"energy": ModelOutput(unit="eV", sample_kind="system")}

        def requested_neighbor_lists(self) -> list[Any]:
            return []

        def export(self) -> LookUp:
            return self

        def capabilities(self) -> ModelCapabilities:
            return ModelCapabilities(
                outputs=self.supported_outputs(),
                atomic_types=[42, 74],
                interaction_range=0.0,
                length_unit="angstrom",
                supported_devices=["cpu"],
                dtype="float64",
            )

        def forward(self, systems: list[System], outputs: dict[str, ModelOutput], selected: Any = None) -> Any:
            rows, samples, names = [], [], ["system"]
            for i, system in enumerate(systems):
                features = torch.tensor(given[int(system.positions[0, 0])][0])
                if any(output.sample_kind == "atom" for output in outputs.values()):
                    rows.append(features)
                    samples += [[i, a] for a in range(len(features))]
                    names = ["system", "atom"]
                else:
                    rows.append(features.sum(dim=0, keepdim=True))
                    samples.append([i])
            labels, values = Labels(names, torch.tensor(samples, dtype=torch.int32)), torch.cat(rows)
            return {
                "energy": mapped(values.sum(dim=1, keepdim=True), labels),
                "mtt::aux::energy_last_layer_features": mapped(values, labels),
            }

    systems = []
    for i, (features, numbers) in enumerate(given):
        positions = torch.zeros((len(features), 3), dtype=torch.float64)
        positions[:, 0] = i
        positions[:, 1] = torch.arange(len(features))
        systems.append(
            System(torch.tensor(numbers), positions, torch.zeros((3, 3), dtype=torch.float64), torch.zeros(3) > 0)
        )
    target = {"unit": "eV", "sample_kind": "system", "num_subtargets": 1, "type": "scalar", "description": ""}
    info = DatasetInfo("angstrom", [42, 74], {"energy": get_energy_target_info("energy", target)})
    one = Labels(["system"], torch.zeros((1, 1), dtype=torch.int32))
    energies = [mapped(torch.zeros((1, 1), dtype=torch.float64), one) for _ in range(FITTED)]
    model = LLPRUncertaintyModel({"num_ensemble_members": {}}, info)
    model.set_wrapped_model(LookUp())
    data = Dataset.from_dict({"system": systems[:FITTED], "energy": energies})
    model.compute_covariance([data], batch_size=1, is_distributed=False)
    result: dict[str, Any] = {"frames": [], "atoms": []}
    for regulariser in REGULARISERS:
        model.compute_cholesky_decomposition(regulariser)
        for kind, these, key in (("system", systems, "frames"), ("atom", systems[FITTED:], "atoms")):
            told = model(these, {"energy_uncertainty": ModelOutput(unit="eV", sample_kind=kind)})
            result[key].append(told["energy_uncertainty"].block().values[:, 0].tolist())
    return result


if __name__ == "__main__":
    FILE.write_text(json.dumps(found()) + "\n", encoding="utf-8")
