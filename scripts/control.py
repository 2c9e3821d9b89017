"""The commands' end of the supervisor's private socket: ask, follow its steps, understand its answer."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.errors import CommandError, NotServingError
from scripts.runtime import RuntimeFolder
from scripts.steps import Report, Step

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
        return self._change(f"/changes/{kind}", wanted | _author(), on_step)

    def _get(self, path: str) -> Json:
        with self._client() as client:
            return _answer_in(self._asked(lambda: client.get(path)))

    def _change(self, path: str, wanted: Json, on_step: Report) -> Json:
        def lines() -> Json:
            with self._client() as client, client.stream("POST", path, json=wanted) as response:
                for text in response.iter_lines():
                    line = json.loads(text)
                    if "step" in line:
                        on_step(Step(**line["step"]))
                    else:
                        return dict(line)
            raise CommandError("The supervisor ended before it said how it went: see `statehouse status`.")

        outcome: Json = self._asked(lines)
        if outcome["outcome"] != "done":
            raise CommandError(outcome["message"])
        return dict(outcome["result"])

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
