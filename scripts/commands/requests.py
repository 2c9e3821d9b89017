"""The commands that ask what is served, as its clients do: one request, the token for gRPC."""

from __future__ import annotations

from typing import Annotated

import typer

from statehouse.scripts.access.front_door import FrontDoor, key_from
from statehouse.scripts.commands.options import (
    DEPLOYMENT,
    EXIT_FAILED,
    AsJson,
    DeploymentFile,
    KeyFile,
    Target,
    seconds_of,
)
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.terminal import console

app = typer.Typer()


@app.command(epilog="Example: statehouse predict digits digit.png")
def predict(
    target: Target,
    given: Annotated[str, typer.Argument(metavar="INPUT", help="A file, '-' for standard input, or JSON.")],
    key_file: KeyFile = None,
    deployment: DeploymentFile = DEPLOYMENT,
    timeout_seconds: Annotated[
        float,
        typer.Option(
            "--timeout", parser=seconds_of, metavar="DURATION", help="How long the answer may take."
        ),
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Send one request through the front and print the answer.

    Where keys are asked for, it is sent with the one given; without one over this user's private socket.
    """
    from statehouse.scripts.commands import predict_request as predicting

    body = predicting.read_input(given)
    door = FrontDoor.of(ControlClient(deployment).status(), key_from(key_file))
    response = predicting.predict(door, target, body, timeout_seconds=timeout_seconds)
    answer = predicting.answer_in(response)
    if as_json:
        console.print_json(
            {
                "status": response.status_code,
                "version": response.headers.get("x-model-version"),
                "digest": response.headers.get("x-model-digest"),
                "answer": answer,
            }
        )
    elif response.is_error:
        console.print_error("\n".join(predicting.problem_lines(response.status_code, answer)))
    else:
        console.print_json(answer)
    if response.is_error:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog='Example: grpcurl -H "authorization: Bearer $(statehouse token)" …')
def token(deployment: DeploymentFile = DEPLOYMENT, as_json: AsJson = False) -> None:
    """Print the token that gRPC predictions need.

    A new one is made at each start of the server.
    """
    inference_token = ControlClient(deployment).inference_token()
    if as_json:
        console.print_json({"token": inference_token})
    else:
        console.out.print(inference_token)
