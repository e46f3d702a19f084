"""`memstream status`."""

import asyncio

import typer

from memstream.client._retries import ONCE
from memstream.client._status import ServiceStatus, Status
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.services import Services, services_for


def status(context: typer.Context, *, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show whether both services are ready; exit code 1 if not."""
    services = services_for(context, home)
    answer = asyncio.run(_status(services))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        for name, service in (("ingest", answer.ingest), ("retriever", answer.retriever)):
            typer.echo(f"{name:<10} {service.url:<28} {_description(service)}")
        if services.stack is not None:
            pids = ", ".join(f"{process.name} {process.pid}" for process in services.stack.processes)
            typer.echo(f"{'model':<10} {services.stack.embedding_model}\n{'processes':<10} {pids}")
    if not answer.ready:
        raise typer.Exit(1)


async def _status(services: Services) -> Status:
    async with services.memory(ONCE) as memory:
        return await memory.status()


def _description(service: ServiceStatus) -> str:
    if not service.ready:
        return f"not ready: {service.reason}"
    numbers = {key: value for key, value in service.details.items() if isinstance(value, int | float)}
    return ", ".join(["ready", *(f"{key} {value}" for key, value in numbers.items())])
