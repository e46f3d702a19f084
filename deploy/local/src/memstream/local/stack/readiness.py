"""Readiness probes over plain sockets, so that the supervisor needs no HTTP or Redis library."""

import asyncio
import re
from functools import partial

import psutil

from memstream.local.stack.process_spec import Probe

_TIMEOUT = 2.0
_HOST = "127.0.0.1"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


def http_probe(path: str, host: str = _HOST) -> Probe:
    """Return a probe that succeeds if a GET is answered with any 2xx status."""
    return partial(_ask_http, host, path)


def redis_probe(password: str) -> Probe:
    """Return a probe that sends PING to Redis. While Redis loads its data, it answers LOADING instead of PONG."""
    return partial(_ping_redis, password)


def listens(pid: int, port: int) -> bool:
    """Return whether this process itself listens on a port."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections)


async def _ping_redis(password: str, port: int) -> str | None:
    answer = await _exchange(_HOST, port, f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
    return None if b"+PONG" in answer else _quoted(answer)


async def _ask_http(host: str, path: str, port: int) -> str | None:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    answer = await _exchange(host, port, request.encode())
    status = _STATUS.match(answer)
    if status is not None and status[1].startswith(b"2"):
        return None
    _, _, body = answer.partition(b"\r\n\r\n")
    return f"{path} answered {status[1].decode()} {_quoted(body)}" if status else _quoted(answer)


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()
    except TimeoutError:
        return b"no answer"
    except OSError as error:
        return f"no answer: {error}".encode()


def _quoted(answer: bytes) -> str:
    return " ".join(answer[:300].decode(errors="replace").split()) or "nothing"
