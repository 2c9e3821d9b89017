"""The commands' end of the supervisor's private socket: ask, follow its steps, understand its answer."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statehouse.scripts.control.followed_change import FollowedChange
from statehouse.scripts.errors import CommandError, NotServingError
from statehouse.scripts.progress import Report
from statehouse.scripts.servers.private_folder import RuntimeFolder

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]


@dataclass(frozen=True)
class ControlClient:
    """Asks the supervisor of one deployment."""

    deployment_file: Path

    def status(self) -> Json:
        """Return everything that `statehouse status` shows; NotServingError when nobody serves."""
        return self._get("/status")

    def inference_token(self) -> str:
        """Return the token that gRPC predictions need."""
        return str(self._get("/token")["inference"])

    def plan(self) -> list[str]:
        """Return what `apply` would do; CommandError when the edited file cannot be applied."""
        return list(self._get("/plan")["plan"])

    def client_keys(self) -> list[Json]:
        """Return the clients that have keys, and their limits."""
        return list(self._get("/keys")["clients"])

    def change_key(self, action: str, client: str, **wanted: Any) -> Json:  # noqa: ANN401 - JSON
        """Add, rotate, limit or revoke a client's key; CommandError has the reason why not."""
        asked = {"client": client, **wanted, **_author()}
        with self._client() as http:
            return _answer_in(self._asked(lambda: http.post(f"/keys/{action}", json=asked)))

    def change(self, kind: str, on_step: Report, **wanted: Any) -> Json:  # noqa: ANN401 - JSON
        """Ask for a change and follow its steps; CommandError has the supervisor's reason."""
        return self.begin_change(kind, **wanted).result(on_step)

    def begin_change(self, kind: str, **wanted: Any) -> FollowedChange:  # noqa: ANN401 - JSON
        """Ask for a change, and return what tells how it goes; it goes on whoever listens."""

        def lines() -> Iterator[Json]:
            asked = wanted | _author()
            with self._client() as http, http.stream("POST", f"/changes/{kind}", json=asked) as response:
                yield from map(json.loads, response.iter_lines())

        return FollowedChange(lambda take: self._asked(lambda: take(lines())))

    def abort(self, change_id: str | None = None, *, wait: bool = True) -> Json:
        """Abort the change that runs, or the one of an id, and wait until it is undone; return what became of it.

        Raises CommandError when there is none.
        """
        asked = {"change": change_id, "wait": wait} | _author()
        with self._client() as http:
            return _answer_in(self._asked(lambda: http.post("/abort", json=asked)))

    def _get(self, path: str) -> Json:
        with self._client() as client:
            return _answer_in(self._asked(lambda: client.get(path)))

    def _client(self) -> httpx.Client:
        import httpx  # late, here and below: `statehouse --help` is instant

        socket_path = str(RuntimeFolder.of_deployment(self.deployment_file).control_socket)
        # A change takes as long as it takes: no read timeout.
        timeout = httpx.Timeout(5, read=None)
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=socket_path), base_url="http://supervisor", timeout=timeout
        )

    def _asked(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `ask` returns
        import httpx

        try:
            return ask()
        except httpx.ConnectError:
            raise NotServingError(
                f"Nothing serves {self.deployment_file}: start it with `statehouse serve "
                f"--deployment {self.deployment_file}`, or name another deployment with --deployment."
            ) from None
        except httpx.TransportError as error:
            raise CommandError(f"The supervisor ended while it was asked: {error}.") from error


def _answer_in(response: httpx.Response) -> Json:
    answer = dict(response.json())
    if response.is_error:
        raise CommandError(answer["message"])
    return answer


def _author() -> Json:
    return {"user": user_name(), "host": socket.gethostname()}


def user_name() -> str:
    """Return who runs this command, as the history names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container a user may be a number without a name
        return str(os.getuid())
