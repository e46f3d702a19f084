"""How much of the evidence a context of so many tokens holds, through the running service."""

import asyncio
from collections.abc import Sequence

import httpx
import numpy as np

from benchmarks.quality.sets import Judged
from benchmarks.quality.strangers import Asked
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
    asked = [Asked(question, question.user_id) for question in questions]
    contexts = await _contexts(asked, stack, budget, least)
    recalls = [
        len({citation.message_id for citation in context.citations} & question.evidence) / len(question.evidence)
        for question, context in zip(questions, contexts, strict=True)
    ]
    abstained, tokens = zip(*((context.abstained, context.tokens) for context in contexts), strict=True)
    return float(np.mean(recalls)), float(np.mean(abstained)), float(np.mean(tokens))


async def abstentions(asked: Sequence[Asked], stack: Stack) -> float:
    """Return the share of contexts that abstain, by the service's own bound."""
    contexts = await _contexts(asked, stack, BUDGETS[0], None)
    return float(np.mean([context.abstained for context in contexts]))


async def _contexts(asked: Sequence[Asked], stack: Stack, budget: int, least: float | None) -> list[ContextOut]:
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.retriever_url, headers=headers, timeout=60) as http:

        async def one(each: Asked) -> ContextOut:
            async with gate:
                body = {"user_id": each.user, "query": each.question.question, "token_budget": budget,
                        "limit": _LIMIT, "min_relevance": least}  # fmt: skip
                answer = await http.post("/v1/context", json=body)
                answer.raise_for_status()
                return ContextOut.model_validate_json(answer.content)

        return await asyncio.gather(*(one(each) for each in asked))
