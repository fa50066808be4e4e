"""Universal potentials by name, one file for each package, which is its only importer.

A worker process in another environment loads such a file by its path: it imports the standard library, numpy, ase and,
when it is used, its package, and nothing of Assay. Each has `Potential(what, **arguments)` with
`predict(frames, features=False)`, which returns for each frame a dictionary:

| key | meaning | shape, unit |
|---|---|---|
| energy, forces | | eV; `(A, 3)` eV/Å |
| stress | where the frame is periodic in all directions | `(6,)` eV/Å³, Voigt xx yy zz yz xz xy |
| features | of `features=True`: what enters the last layer | `(A, D)` |
| feature_forces | of `feature_forces=True`, where a family has it: `-∂(Σ_i f_id)/∂r` | `(D, A, 3)` |

It may say as `batch_atoms` how many atoms should go through it together, and may raise for all frames if one of them is
bad: `assay.sources.committees.worker` then gives it one at a time.
"""
