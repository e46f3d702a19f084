"""A Qdrant server that is started from a binary."""

from pathlib import Path


def qdrant_process(
    binary: Path, folder: Path, port: int, api_key: str | None, *, grpc_port: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables of a Qdrant server on loopback.

    `grpc_port` is that of its other protocol; None is the port after the first.
    """
    variables = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(port),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc_port or port + 1),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__STORAGE__TEMP_PATH": str(folder / "temp"),
        "QDRANT__TELEMETRY_DISABLED": "true",
        "QDRANT__LOG_LEVEL": "WARN",
    }
    if api_key is not None:
        variables["QDRANT__SERVICE__API_KEY"] = api_key
    return [str(binary), "--disable-telemetry"], variables
