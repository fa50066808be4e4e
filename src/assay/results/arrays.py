"""What every array of Assay is, and the levels that scores have."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Level = Literal["atom", "neighbourhood", "frame"]
