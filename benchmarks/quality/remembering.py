"""An embeddings server in front of another one, which it asks for each text once.

Histories of everyday cases share most of what is said around the cases, and embedding takes nearly all of the time.
A vector is what the other server answered for exactly this text; nothing else is kept, and nothing over the run's end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import httpx
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_HOST = "127.0.0.1"
_PATIENCE = httpx.Timeout(300.0)


def application(post: Callable[[dict[str, Any]], Coroutine[Any, Any, httpx.Response]]) -> Starlette:
    """Return the server; `post` sends a request for embeddings to the other one. What that refuses is refused alike."""
    known: dict[tuple[str, str], Any] = {}

    async def embeddings(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        # How a vector is written is a part of what is asked for; all the rest is the same in a run.
        encoding, texts = asked.get("encoding_format", "float"), asked["input"]
        missing = [text for text in dict.fromkeys(texts) if (encoding, text) not in known]
        tokens = 0
        if missing:
            answer = await post({**asked, "input": missing})
            if answer.status_code != httpx.codes.OK:
                kept = {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
                return Response(answer.content, answer.status_code, kept, media_type="application/json")
            found = orjson.loads(answer.content)
            tokens = found["usage"]["total_tokens"]
            for one in found["data"]:
                known[encoding, missing[one["index"]]] = one["embedding"]
        data = [
            {"object": "embedding", "index": index, "embedding": known[encoding, text]}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
        return Response(orjson.dumps(body), media_type="application/json")

    return Starlette(routes=[Route("/v1/embeddings", embeddings, methods=["POST"])])


class _Server(uvicorn.Server):
    """A server that leaves the signals to the run that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@contextlib.asynccontextmanager
async def remembering(url: str, key: str, port: int) -> AsyncIterator[str]:
    """Serve on a port of this machine what the server at `url`, which asks for `key`, answers; give the URL."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=_PATIENCE) as http:
        app = application(lambda body: http.post(f"{url}/embeddings", json=body))
        config = uvicorn.Config(app, host=_HOST, port=port, log_level="warning", access_log=False)
        server = _Server(config)
        serving = asyncio.create_task(server.serve())
        try:
            yield f"http://{_HOST}:{port}/v1"
        finally:
            server.should_exit = True
            await serving
