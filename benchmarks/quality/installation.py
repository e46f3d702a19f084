"""A local stack to measure on: kept in a folder, so that a set is embedded once, and patient with a busy machine.

Messages that are in the folder already are not embedded again: posted once more they are duplicates. Nor is the same
text embedded twice in a run.
"""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks.quality.remembering import remembering
from memstream.contracts.stack import Stack
from memstream.local.stack.data_directory import DataDirectory
from memstream.local.stack.local_stack import LocalStack
from memstream.local.stack.plan import Plan
from memstream.local.stack.process_spec import ProcessSpec
from memstream.runtime.clock import SystemClock

_PATIENT: Mapping[str, Mapping[str, str]] = {
    # Calls that the model can't answer in time are made again, and a machine at other work never gets done with it.
    "embedder": {"EMBEDDINGS_TIMEOUT": "PT5M", "CONCURRENCY": "2", "BATCH_TEXTS": "32"},
    # A question whose vector is late is answered by words alone, which is not what is measured.
    "retriever": {
        "EMBEDDINGS_TIMEOUT": "PT1M",
        "SEARCH_TIMEOUT": "PT2M",
        "QDRANT_TIMEOUT": "PT1M",
        "RERANK_TIMEOUT": "PT30S",
    },
}
"""Settings that bear on waiting alone: none changes an answer."""

_REMEMBERING = 20
"""Which port after the first one the embeddings server in front of the stack's own listens on."""


@asynccontextmanager
async def installed(
    home: Path, model: str, first_port: int, rerank_url: str | None = None, rerank_model: str | None = None
) -> AsyncIterator[Stack]:
    """Run a stack in a folder, which is made when there is none; stop it at the end, and leave the folder.

    Raises:
        CannotStart: it can't be started.

    """
    plan = Plan(
        DataDirectory(home), model=model, port_base=first_port, rerank_url=rerank_url, rerank_model=rerank_model
    )
    plan.directory.create()
    plan.directory.create_secrets()
    key = plan.directory.secrets().embeddings_api_key
    async with remembering(plan.embeddings_url, key, first_port + _REMEMBERING) as url:
        stack = LocalStack(
            plan,
            environment=os.environ,
            clock=SystemClock(),
            rng=Random(1),  # noqa: S311 - spreads restarts
            say=lambda line: print(line, file=sys.stderr),
            stages=[[_adapted(child, url) for child in stage] for stage in plan.stages()],
        )
        async with stack.running() as running:
            yield running


def _adapted(child: ProcessSpec, embeddings_url: str) -> ProcessSpec:
    """Return a process with patience; an embedder asks the server at this URL."""
    service = child.name.rpartition("-")[0]
    settings = dict(_PATIENT.get(service, {}))
    if service == "embedder":
        settings["EMBEDDINGS_URL"] = embeddings_url
    named = {f"MEMSTREAM_{service.upper()}_{name}": value for name, value in settings.items()}
    return replace(child, environment={**child.environment, **named})
