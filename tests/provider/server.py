"""The simulated provider as an ASGI application, and as a server within the loop of a test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from memstream.runtime.clock import Clock, SystemClock
from memstream.runtime.sockets import listen

from .faults import REFUSALS, Fault, FaultName
from .limits import RateLimits
from .script import Latency, Script
from .vectors import answer_of, vector_of

_BYTES_PER_TOKEN = 4

_MakeAnswer = Callable[[int, FaultName | None], dict[str, object]]
"""Makes an answer of so many tokens, with what is wrong with it."""


class _Torn(Response):
    """An answer that breaks off: the connection is closed in its middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise more than is sent."""
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


class Provider:
    """Answers `POST /v1/embeddings` and `POST /v1/rerank` as its script says."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self.script = script
        self._clock = clock

    def application(self) -> Starlette:
        """Make the ASGI application. `/script` sets it from outside, `/counts` tells what it was asked."""
        return Starlette(
            routes=[
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
                Route("/v1/rerank", self._rerank, methods=["POST"]),
                Route("/script", self._set, methods=["POST"]),
                Route("/counts", self._tell),
            ]
        )

    async def _embeddings(self, request: Request) -> Response:
        body = await request.json()
        texts: list[str] = [body["input"]] if isinstance(body["input"], str) else body["input"]
        return await self._call(texts, partial(self._vectors, texts, body))

    async def _rerank(self, request: Request) -> Response:
        body = await request.json()
        return await self._call(body["documents"], partial(self._ranking, body))

    async def _call(self, texts: list[str], make: _MakeAnswer) -> Response:
        counts = self.script.counts
        counts.calls += 1
        counts.texts += len(texts)
        counts.sizes.append(len(texts))
        counts.times.append(self._clock.monotonic())
        counts.under_way += 1
        counts.most_under_way = max(counts.most_under_way, counts.under_way)
        try:
            return await self._answer(texts, make)
        finally:
            counts.under_way -= 1

    async def _answer(self, texts: list[str], make: _MakeAnswer) -> Response:
        script = self.script
        tokens = sum(1 + len(text.encode()) // _BYTES_PER_TOKEN for text in texts)
        admission = script.limits.admit(tokens, self._clock.monotonic())
        fault = script.next_fault()
        if fault is None and admission.retry_after is not None:
            fault = Fault("rate_limit", admission.retry_after)
        if fault is None and script.concurrency is not None and script.counts.under_way > script.concurrency:
            fault = Fault("rate_limit")
        if fault is not None and fault.name in REFUSALS:
            return self._refuse(fault.name, texts, admission.headers, fault.retry_after)
        await self._take_time(fault)
        if fault is not None and fault.name == "dropped":
            return _Torn()
        if script.is_poisoned(texts):
            return self._refuse("bad_request", texts, admission.headers)
        script.counts.by_text.update(texts)
        if fault is not None and fault.name == "page":
            return HTMLResponse("<p>Welcome!</p>")
        # JSON has no NaN, but some servers write it.
        spoiled: FaultName | None = "not_a_number" if script.has_no_numbers(texts) else None
        content = json.dumps(make(tokens, fault.name if fault else spoiled))
        return Response(content, headers=admission.headers, media_type="application/json")

    def _vectors(
        self, texts: list[str], body: dict[str, Any], tokens: int, fault: FaultName | None
    ) -> dict[str, object]:
        vectors = [vector_of(text, self.script.dimensions, self.script.seed) for text in texts]
        answer = answer_of(vectors, body.get("model", ""), body.get("encoding_format", "float"), tokens)
        return self._spoiled(answer, fault)

    def _ranking(self, body: dict[str, Any], tokens: int, fault: FaultName | None) -> dict[str, object]:
        scores = [self.script.relevance(body["query"], text) for text in body["documents"]]
        results: list[dict[str, object]] = [
            {"index": index, "relevance_score": scores[index]}
            for index in sorted(range(len(scores)), key=lambda index: -scores[index])[: body.get("top_n")]
        ]
        match fault:
            case "wrong_count":
                results.pop()
            case "shuffled":
                self.script.chance.shuffle(results)
            case "repeated":
                results[0]["index"] = results[-1]["index"]
            case "not_a_number":
                results[0]["relevance_score"] = float("nan")
        return {"id": "r", "model": body["model"], "results": results, "usage": {"total_tokens": tokens}}

    async def _take_time(self, fault: Fault | None) -> None:
        if fault is not None and fault.name == "timeout":
            await self.script.mended.wait()
        await self._clock.sleep(self.script.latency.draw(self.script.chance))
        await self.script.open.wait()

    def _refuse(
        self, name: str, texts: list[str], headers: dict[str, str], retry_after: float | None = None
    ) -> Response:
        self.script.counts.refused += 1
        refusal = REFUSALS[name]
        if self.script.is_quoting:
            refusal = replace(refusal, message=f"{refusal.message} Your input: {texts}")
        waits = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        return JSONResponse(refusal.body(), refusal.status, {**headers, **waits})

    def _spoiled(self, answer: dict[str, Any], fault: FaultName | None) -> dict[str, Any]:
        data = answer["data"]
        match fault:
            case "wrong_count":
                data.pop()
            case "shuffled":
                self.script.chance.shuffle(data)
            case "wrong_dimension":
                for item in data:
                    item["embedding"] = [0.5] * (self.script.dimensions + 1)
            case "not_a_number":
                # JSON has no NaN, base64 has.
                nan = vector_of("", self.script.dimensions, 0) * float("nan")
                data[0]["embedding"] = answer_of([nan], "", "base64", 0)["data"][0]["embedding"]  # type: ignore[index]
        return answer

    async def _set(self, request: Request) -> Response:
        orders = await request.json()
        if orders.pop("mend", False):
            self.script.mend()
        if fault := orders.pop("fail_next", None):
            self.script.fail_next(fault["calls"], fault["name"], retry_after=fault.get("retry_after"))
        if fault := orders.pop("fail", None):
            self.script.fail(fault["name"], retry_after=fault.get("retry_after"))
        if "poison" in orders:
            self.script.poison = set(orders.pop("poison"))
        if "latency" in orders:
            self.script.latency = Latency(**orders.pop("latency"))
        if "limits" in orders:
            self.script.limits = RateLimits(**orders.pop("limits"))
        for name in ("storm", "concurrency"):
            if name in orders:
                setattr(self.script, name, orders.pop(name))
        return JSONResponse({"unknown": sorted(orders)}, 400 if orders else 200)

    async def _tell(self, _: Request) -> Response:
        counts = asdict(self.script.counts)
        return JSONResponse({name: counts[name] for name in ("calls", "texts", "refused", "most_under_way")})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs the loop."""
        yield


@contextlib.asynccontextmanager
async def serving(application: ASGIApp) -> AsyncIterator[str]:
    """Serve on a free port of this machine; gives the URL."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(application, lifespan="off", log_config=None, log_level="critical", access_log=False)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task


@contextlib.asynccontextmanager
async def providing(script: Script) -> AsyncIterator[str]:
    """Serve within this loop, on a free port; gives the base URL for an OpenAI client."""
    async with serving(Provider(script, SystemClock()).application()) as url:
        try:
            yield f"{url}/v1"
        finally:
            script.mend()
