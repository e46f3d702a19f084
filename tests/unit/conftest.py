"""What holds for all unit tests."""

import warnings

with warnings.catch_warnings():
    # It reads its vocabulary by a call that Python 3.11 calls deprecated, once, when it is imported.
    warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
    import bpe_openai  # noqa: F401 - imported for its effect
