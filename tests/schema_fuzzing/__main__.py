"""Ask both services what their OpenAPI documents allow and forbid: `make fuzz-http EXAMPLES=1000 SEED=7`.

Schemathesis makes the requests, with all of its checks, from an environment of its own. Exits with 1 if it finds
something.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from installation import Installation, installed

_ROOT = Path(__file__).parents[2]
_SCHEMATHESIS = _ROOT / "build" / "fuzz-http" / "bin" / "schemathesis"
_RULES = Path(__file__).with_name("schemathesis.toml")
_ADMIN = "^/v1/admin/"


async def run(folder: Path, examples: int, seed: int) -> int:
    """Return the number of runs in which something was found."""
    async with installed(Installation(folder)) as parts:
        await parts.start("redis", "qdrant", "embeddings")
        await parts.start("keys")
        await parts.start("ingest-1", "embedder-1", "retriever-1")
        # Operators come last: they set limits, which would refuse the other requests.
        runs = [
            ("retriever", parts.info.api_key, ()),
            ("ingest", parts.info.api_key, ("--exclude-path-regex", _ADMIN)),
            ("ingest", parts.info.admin_key, ("--include-path-regex", _ADMIN)),
        ]
        found = 0
        for service, key, chosen in runs:
            process = await asyncio.create_subprocess_exec(
                *(str(_SCHEMATHESIS), "--config-file", str(_RULES), "run"),
                *(str(_ROOT / "docs" / "openapi" / f"{service}.json"), "--url", parts.url(f"{service}-1"), *chosen),
                *("--max-examples", str(examples), "--seed", str(seed)),
                env=os.environ | {"FUZZING_KEY": key},
                # It keeps files in the folder that it is started in.
                cwd=folder,
            )
            found += await process.wait() != 0
        return found


def main() -> int:
    """Run it as told on the command line."""
    parser = argparse.ArgumentParser(prog="python -m schema_fuzzing", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="of requests to each route, in each phase")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="memstream-schema-fuzzing-") as folder:
        return 1 if asyncio.run(run(Path(folder), chosen.examples, chosen.seed)) else 0


if __name__ == "__main__":
    sys.exit(main())
