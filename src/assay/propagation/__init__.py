"""Error bars on properties: from an ensemble of potentials to an ensemble of each number that is computed with them."""
