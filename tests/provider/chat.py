"""A simulated chat model behind OpenAI's protocol."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .server import serving

Messages = list[dict[str, str]]


@dataclass(slots=True)
class ChatModel:
    """Answers as it is told, and writes down what it was asked."""

    url: str = ""
    says: Callable[[Messages], Any] = lambda _: "I don't know."
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of its requests."""

    async def complete(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`."""
        body = await request.json()
        self.asked.append({**body, "authorization": request.headers.get("authorization")})
        if self.status != 200:
            return JSONResponse({"error": {"message": "no", "type": "server_error"}}, self.status)
        message = {"role": "assistant", "content": self.says(body["messages"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"id": "c", "object": "chat.completion", "model": body["model"], "choices": [choice]})


@contextlib.asynccontextmanager
async def chatting() -> AsyncIterator[ChatModel]:
    """Serve a model on a free port; its `url` is the base URL for a client."""
    model = ChatModel()
    async with serving(Starlette(routes=[Route("/v1/chat/completions", model.complete, methods=["POST"])])) as url:
        model.url = f"{url}/v1"
        yield model
