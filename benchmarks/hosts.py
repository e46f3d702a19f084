"""The hosts that the parts of a Memstream run on: where each one listens, and how its program is started there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from memstream.local.stack.process_spec import ProcessSpec
from memstream.local.stack.readiness import http_probe, redis_probe

_LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"127\.0\.0\.1(?::(\d+))?(?!\d)")
_PATHS = {"qdrant": "/readyz", "provider": "/counts"}


@dataclass(frozen=True, slots=True)
class Host:
    """A host: its address, and what stands before a command that is to run on it."""

    address: str
    prefix: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of parts by their names; a part without one runs here, and listens on loopback."""

    of: Mapping[str, Host] = field(default_factory=dict)

    def place(self, specs: Sequence[ProcessSpec], redis_password: str) -> dict[str, ProcessSpec]:
        """Return the processes by name, each on its host, with the addresses of the others."""
        owners = {spec.port: spec.name for spec in reversed(specs) if spec.port}
        return {spec.name: self._placed(spec, owners, redis_password) for spec in specs}

    def reach(self, url: str, specs: Sequence[ProcessSpec]) -> str:
        """Return the URL of a part, given the one that it would have on loopback."""
        return self._translated(url, "", {spec.port: spec.name for spec in reversed(specs) if spec.port})

    def _placed(self, spec: ProcessSpec, owners: Mapping[int, str], redis_password: str) -> ProcessSpec:
        own = {**owners, spec.port: spec.name}
        words = {name: self._translated(value, spec.name, own) for name, value in spec.environment.items()}
        argv = [self._translated(word, spec.name, own) for word in spec.argv]
        host = self.of.get(spec.name)
        if host is None:
            return replace(spec, environment=words, argv=argv)
        probe = (
            redis_probe(redis_password, host.address)
            if spec.name == "redis"
            else http_probe(_PATHS.get(spec.name, "/health/ready"), host.address)
        )
        return replace(
            spec,
            argv=[*host.prefix, *argv],
            environment=words,
            probe=probe,
            url=self._translated(spec.url, spec.name, own),
            share_port=False,
        )

    def _translated(self, text: str, part: str, owners: Mapping[int, str]) -> str:
        """Replace loopback by the address of the part that has the port; without a port, by that of this part."""

        def address(found: re.Match[str]) -> str:
            port = found[1]
            name = part if port is None else owners.get(int(port), "")
            host = self.of[name].address if name in self.of else _LOOPBACK
            return host if port is None else f"{host}:{port}"

        return _ADDRESS.sub(address, text)


HERE = Hosts()
"""All parts on this machine."""
