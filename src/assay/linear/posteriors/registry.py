"""Posteriors by name: from a SPEC, `name[:key=value,…]`."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

from assay.linear.posteriors.bayesian_ridge import BayesianRidge
from assay.linear.posteriors.bootstrap import Bootstrap
from assay.linear.posteriors.pops_posterior import Pops
from assay.linear.posteriors.protocol import Posterior
from assay.sources.settings import Kinds, checked_settings

DEFAULTS: dict[str, Posterior] = {each.name: each for each in (Bootstrap(), BayesianRidge(), Pops())}

_PERCENTILE = (int | float, False)
_KINDS: dict[str, Kinds] = {
    Bootstrap.name: {},
    BayesianRidge.name: {},
    Pops.name: {
        "leverage_percentile": _PERCENTILE,
        "percentile_clipping": _PERCENTILE,
        **dict.fromkeys(("form", "sampling", "metric"), (str, False)),
    },
}


def posterior_from_spec(spec: str, members: int | None = None) -> Posterior:
    """`bootstrap`, `bayesian` or `pops:leverage_percentile=50,…`, with M members (by default its own number).

    Raises `ValueError` for a name or setting that is not known.
    """
    name, _, rest = spec.partition(":")
    if name not in DEFAULTS:
        raise ValueError(f"unknown posterior {name!r}; there are {', '.join(DEFAULTS)}")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    settings = checked_settings(name, _KINDS[name], {key: _value(value) for key, _, value in pairs})
    if members is not None:
        settings["members"] = members
    return replace(DEFAULTS[name], **settings)  # type: ignore[type-var]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
