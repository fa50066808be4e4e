"""Cut-offs of the uncertainty: which frames keep the teachers' label, and the cut-off for a share of DFT labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.distillation.cutoffs import cutoff_for_share, taught

U = np.array([3.0, 1.0, 2.0, 2.0])
N = np.array([10, 40, 25, 25])


def test_a_frame_at_the_cutoff_needs_dft():
    assert taught(U, 2.0).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("share", "cutoff"), [(0.0, np.inf), (0.001, 3.0), (0.1, 3.0), (0.5, 2.0), (0.6, 2.0), (0.9, 1.0), (1.0, 1.0)]
)
def test_the_cutoff_is_the_one_with_the_nearest_share_of_atoms(share, cutoff):
    assert cutoff_for_share(U, N, share) == cutoff


def test_a_share_beyond_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5"):
        cutoff_for_share(U, N, 1.5)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7]), st.integers(1, 30)), min_size=1, max_size=12),
    st.floats(0.01, 1.0),
)
def test_no_other_cutoff_is_nearer(frames, share):
    u, n = np.array([f[0] for f in frames]), np.array([f[1] for f in frames])

    def distance(cutoff):
        return abs(n[~taught(u, cutoff)].sum() - share * n.sum())

    assert distance(cutoff_for_share(u, n, share)) <= min(map(distance, u)) + 1e-9
