"""A connection over TorchServe's gRPC; needs the extra ``grpc``."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import grpc
import grpc.aio

from statehouse.handlers.errors import PROBLEM_TYPE_PREFIX
from statehouse.scripts.load_test.answer import Answer
from statehouse.scripts.load_test.connection import ConnectionOwner
from statehouse.scripts.load_test.errors import ErrorKind
from statehouse.scripts.load_test.grpc_messages import PREDICTIONS, decode_prediction
from statehouse.scripts.load_test.plan import GrpcCall
from statehouse.scripts.load_test.pool import Connect

# Each connection is one of TCP: else gRPC would carry all channels to an address on the same.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
# TorchServe drops the status; an error is known by its problem+json body.
_PROBLEM = re.compile(
    rb'\{"type":"' + PROBLEM_TYPE_PREFIX.encode() + rb'[^"]*".*?"status":(\d{3})', re.DOTALL
)
_OK = 200
_KINDS = {
    grpc.StatusCode.UNAVAILABLE: ErrorKind.CONNECTION_RESET,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorKind.TIMEOUT,
}


def grpc_connector(address: tuple[Any, ...], call: GrpcCall) -> Connect:
    """Return what makes connections to a gRPC port."""
    host, port = address[:2]
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def connect(owner: ConnectionOwner) -> GrpcConnection | ErrorKind:
        channel = grpc.aio.insecure_channel(authority, options=_OPTIONS)
        try:
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    await channel.close()
                    return ErrorKind.CONNECTION_REFUSED
                await channel.wait_for_state_change(state)
                state = channel.get_state()
        except asyncio.CancelledError:
            await channel.close()
            raise
        connection = GrpcConnection(owner, channel, call)
        owner.opened(connection)
        return connection

    return connect


class GrpcConnection:
    """See Connection."""

    def __init__(self, owner: ConnectionOwner, channel: grpc.aio.Channel, call: GrpcCall) -> None:
        self._owner = owner
        self._channel = channel
        self._predict = channel.unary_unary(PREDICTIONS)  # bytes out, bytes in
        self._metadata = (("authorization", f"Bearer {call.token}"),)
        self._asking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.begun = 0.0
        self.in_flight = False
        self.intended = 0.0
        self.sent = 0.0

    @property
    def is_closing(self) -> bool:
        """See Connection."""
        return self._closing is not None

    def send(self, request: bytes, intended: float, now: float) -> None:
        """See Connection."""
        self.in_flight = True
        self.intended = intended
        self.sent = now
        self._asking = asyncio.get_running_loop().create_task(self._ask(request))

    def give_up(self, kind: ErrorKind) -> None:
        """See Connection."""
        self.in_flight = False
        self._owner.failed(self, kind)
        if self._asking is not None:
            self._asking.cancel()
        self.close()

    def close(self) -> None:
        """See Connection."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _ask(self, request: bytes) -> None:
        try:
            message: bytes = await self._predict(request, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            self.in_flight = False
            self._owner.failed(self, _KINDS.get(error.code(), f"grpc_{error.code().name.lower()}"))
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self.close()
                return
        else:
            self.in_flight = False
            self._owner.answered(self, Answer(_status(decode_prediction(message)), None, True))
        self._owner.free(self)

    async def _close(self) -> None:
        await self._channel.close()
        self._owner.lost(self)


def _status(prediction: bytes) -> int:
    problem = _PROBLEM.match(prediction)
    return int(problem[1]) if problem else _OK
