"""How much of the evidence a context of so many tokens holds, through the running service."""

import asyncio
from collections.abc import Sequence

import httpx
import numpy as np

from benchmarks.quality.sets import Judged
from memstream.contracts.searches import ContextOut
from memstream.contracts.stack import Stack

BUDGETS = (500, 1000, 2000)
KINDS = {"default": None, "min_relevance 0": 0.0}
"""How contexts are asked for, and the least relevance that each asks of a message."""
_AT_ONCE = 4
_LIMIT = 100


async def evidence_within(
    questions: Sequence[Judged], stack: Stack, budget: int, least: float | None
) -> tuple[float, float, float]:
    """Return the mean share of the evidence that is cited, the share of abstentions, and the mean tokens used.

    `least` is the relevance that a message must have; None is the service's own bound.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.retriever_url, headers=headers, timeout=60) as http:

        async def one(question: Judged) -> tuple[float, bool, int]:
            async with gate:
                body = {"user_id": question.user_id, "query": question.question, "token_budget": budget,
                        "limit": _LIMIT, "min_relevance": least}  # fmt: skip
                answer = await http.post("/v1/context", json=body)
                answer.raise_for_status()
                context = ContextOut.model_validate_json(answer.content)
                cited = {citation.message_id for citation in context.citations}
                return len(cited & question.evidence) / len(question.evidence), context.abstained, context.tokens

        answers = await asyncio.gather(*(one(question) for question in questions))
    recalls, abstained, tokens = zip(*answers, strict=True)
    return float(np.mean(recalls)), float(np.mean(abstained)), float(np.mean(tokens))
