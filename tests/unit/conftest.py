"""What holds for all unit tests."""

import warnings

from hypothesis import settings

with warnings.catch_warnings():
    # It reads its vocabulary by a call that Python 3.11 calls deprecated, once, when it is imported.
    warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
    import bpe_openai  # noqa: F401 - imported for its effect

# How long an example takes says something about the machine, and what else it is busy with.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
