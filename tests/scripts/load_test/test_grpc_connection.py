"""TorchServe's gRPC, against a real gRPC server that answers as TorchServe and our handlers do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc.aio
import pytest
from tests.scripts.load_test.counting_server import run_async

from statehouse.handlers.errors import InvalidInputError
from statehouse.handlers.pipeline.problem import problem_response
from statehouse.scripts.load_test import Body, ClosedLoop, LoadPlan, OpenLoop, run_load
from statehouse.scripts.load_test.grpc_messages import PREDICTIONS, decode_prediction, encode_request
from statehouse.scripts.load_test.plan import GrpcCall

TOKEN = "a-secret"
PROBLEM = problem_response(InvalidInputError("no")).body


class GrpcServer(grpc.GenericRpcHandler):
    """Answers by a request's body: a problem, a gRPC error, late, or well."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        assert details.method == PREDICTIONS
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        self.requests.append(request)
        if ("authorization", f"Bearer {TOKEN}") not in list(context.invocation_metadata() or ()):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no token")
        if request.endswith(b"problem"):
            return prediction(PROBLEM)
        if request.endswith(b"broken"):
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
        if request.endswith(b"late"):
            await asyncio.sleep(30)
        return prediction(b'{"label": "1"}' + b" " * 300)


def prediction(content: bytes) -> bytes:
    length, encoded = len(content), b""
    while length > 127:
        encoded += bytes([length & 127 | 128])
        length >>= 7
    return b"\x0a" + encoded + bytes([length]) + content


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[GrpcServer, int]]:
    handler = GrpcServer()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield handler, port
    finally:
        await server.stop(None)


def plan(port: int, arrivals: OpenLoop | ClosedLoop, *bodies: bytes, token: str = TOKEN) -> LoadPlan:
    sent = tuple(Body(body, "application/json") for body in bodies or (b"good",))
    return LoadPlan("127.0.0.1", port, "/digits", sent, arrivals, grpc=GrpcCall("digits", token))


def test_messages_are_protobuf() -> None:
    assert encode_request("net", b"xy") == b"\x0a\x03net\x12\x00\x1a\x0a\x0a\x04body\x12\x02xy"
    long = encode_request("net", bytes(300))
    assert bytes(300) in long
    for content in (b"", b"x", bytes(127), bytes(128), bytes(70_000)):
        assert decode_prediction(prediction(content)) == content
    assert decode_prediction(b"") == b""


@pytest.mark.parametrize("arrivals", [OpenLoop(50, 0.6), ClosedLoop(3, 0.5)])
def test_every_request_is_answered(arrivals: OpenLoop | ClosedLoop) -> None:
    async def scenario() -> None:
        async with serving() as (handler, port):
            result = await run_load(plan(port, arrivals))
        assert result.planned == result.answered == len(handler.requests) > 0
        assert result.statuses == {200: result.planned}
        assert handler.requests[0] == encode_request("digits", b"good")
        assert result.latency.count == result.planned
        assert result.plan.url == f"grpc://127.0.0.1:{port}/digits"

    run_async(scenario())


def test_problems_errors_and_timeouts_are_told_apart() -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            bodies = (b"good", b"problem", b"broken", b"late")
            mixed = replace(plan(port, OpenLoop(20, 1), *bodies), timeout_seconds=3.0)
            result = await run_load(mixed)
        assert result.statuses == {200: 5, 422: 5}
        assert result.errors == {"grpc_internal": 5, "timeout": 5}
        assert result.failed == 15

    run_async(scenario())


def test_without_the_token_nothing_is_answered() -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            result = await run_load(plan(port, OpenLoop(20, 0.5), token="wrong"))
        assert result.errors == {"grpc_permission_denied": 10}

    run_async(scenario())


def test_a_server_that_is_not_there_is_refused() -> None:
    async def scenario() -> None:
        async with serving() as (_, port):
            pass
        result = await run_load(plan(port, OpenLoop(20, 0.25)))
        assert result.errors == {"connection_refused": 5}

    run_async(scenario())


def test_the_token_is_not_in_what_is_printed() -> None:
    assert TOKEN not in repr(plan(1, OpenLoop(1, 1)))
