"""The worker's own door: unix sockets on which it answers the front's HTTP, in the loop that waits for TorchServe.

Everything happens in one thread: what is waiting at a moment, up to a batch, is answered together, and no batch waits
for more. Bodies that fit the front's buffer come whole, at the first socket. Larger ones come by the second, as their
clients send them: memory is set aside for each before it is read, and who stops sending is told so.
"""

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from statehouse.handlers.errors import RequestError, SlowBodyError, UnavailableError
from statehouse.handlers.pipeline.problem import problem_response
from statehouse.handlers.request import Request, Response
from statehouse.handlers.worker.arrival import ArrivalClock
from statehouse.handlers.worker.door_files import DoorFiles
from statehouse.handlers.worker.http_connection import HttpConnection, ResponseHeads
from statehouse.handlers.worker.pulse import STAMP_SECONDS, Pulse

BACKLOG = 4096  # looks of the front at a worker that computes are closed connections, and stay in it
READ_BYTES = 256 * 1024
LARGE_BYTES = 64 * 2**20  # of large bodies that are being read at a time
SLOW_BODY_SECONDS, SLOW_BODY_BYTES = 5.0, 64 * 1024
MOST_READY_BATCHES, LEAST_READY = 8, 64  # far beyond what the front hands over: it bounds that
LONGEST_WAITS = 3  # deadlines: a request waits for its version, and then in its slot, for one each

_IN = select.EPOLLIN | select.EPOLLRDHUP
_AWAY = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

Answer = Callable[[Sequence[Request], Sequence[float]], Sequence[Response]]
"""The responses to a batch's requests, in order, given how many seconds each has waited."""


class Door:
    """Takes connections, and answers what comes by them in batches.

    `deadline_seconds` is how long after its arrival a request is still computed.
    """

    def __init__(
        self,
        files: DoorFiles,
        answer: Answer,
        *,
        batch_size: int,
        max_body_bytes: int,
        deadline_seconds: float,
    ) -> None:
        self._answer = answer
        self._batch_size = batch_size
        self._most_ready = max(MOST_READY_BATCHES * batch_size, LEAST_READY)
        self._max_body_bytes = max_body_bytes
        self._deadline_seconds = deadline_seconds
        self._large_room_bytes = max(LARGE_BYTES, max_body_bytes)
        self._heads = ResponseHeads()
        self._clock = ArrivalClock(LONGEST_WAITS * deadline_seconds)
        self._epoll = select.epoll()
        self._connections: dict[int, HttpConnection] = {}
        self._ready: deque[HttpConnection] = deque()  # some of which may have gone
        self._waiting_count = 0  # of those in it that have not
        self._reading: set[HttpConnection] = set()  # large bodies that have room
        self._without_room: deque[HttpConnection] = deque()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._command_fd = -1
        self._next_look = 0.0
        self._listeners = {each.fileno(): each for each in map(_listen, files[:2])}
        for descriptor in self._listeners:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._pulse = Pulse(files.pulse)

    def serve_until_readable(self, command_fd: int) -> None:
        """Answer what comes until there is something to read at `command_fd`; at least one batch goes first."""
        if command_fd != self._command_fd:
            self._epoll.register(command_fd, select.EPOLLIN)
            self._command_fd = command_fd
        while True:
            commanded = self._see_to_events(0 if self._ready else STAMP_SECONDS)
            if self._ready:
                self._answer_batch()
            else:
                self._pulse.idle()
            if self._reading:
                self._refuse_slow_bodies()
            if commanded:
                return

    def close(self) -> None:
        """Close all sockets; for tests."""
        for connection in self._connections.values():
            connection.socket.close()
        for listener in self._listeners.values():
            listener.close()
        self._epoll.close()

    # -- connections

    def _see_to_events(self, timeout_seconds: float) -> bool:
        """Take what comes, and send what can be sent; return whether TorchServe has something to say."""
        commanded = False
        for descriptor, event in self._epoll.poll(timeout_seconds):
            if descriptor == self._command_fd:
                commanded = True
            elif descriptor in self._listeners:
                self._accept(descriptor)
            elif descriptor in self._connections:  # one before it in the list may have ended it
                self._serve(self._connections[descriptor], event)
        return commanded

    def _accept(self, descriptor: int) -> None:
        listener = self._listeners[descriptor]
        limit = self._max_body_bytes
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:  # nothing more, or whoever was there has gone
                return
            connected.setblocking(False)
            connection = HttpConnection(connected, limit)
            self._connections[connected.fileno()] = connection
            self._epoll.register(connected, _IN)

    def _serve(self, connection: HttpConnection, event: int) -> None:
        if event & select.EPOLLOUT:
            connection.send_more()
            if not connection.sends:
                self._rest(connection)
        if event & select.EPOLLIN and not connection.gone:
            self._read(connection)
        if event & _AWAY:
            connection.gone = True
        if connection.gone:
            self._drop(connection)

    def _read(self, connection: HttpConnection) -> None:
        try:
            count = connection.socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            connection.gone = True
            return
        connection.take(self._buffer[:count])
        if connection.request is not None and not connection.computes:
            self._make_ready(connection)
        elif connection.refusal is not None:
            self._refuse(connection, connection.refusal)
        elif connection.head_is_read:
            self._read_on(connection)
        elif connection.closes:  # more came while it waits for its answer
            self._epoll.modify(connection.socket, _AWAY)

    def _read_on(self, connection: HttpConnection) -> None:
        """Let more of a body come, if there is room for it."""
        if not connection.reserved_bytes:
            expected = connection.expected_bytes
            if expected > self._large_room_bytes:
                self._without_room.append(connection)
                self._epoll.modify(connection.socket, _AWAY)
                return
            self._large_room_bytes -= expected
            connection.reserved_bytes = expected
            connection.slow_at_bytes = connection.heard_bytes
            connection.slow_at_seconds = time.monotonic() + SLOW_BODY_SECONDS
            self._reading.add(connection)
        if connection.asked_to_continue:
            connection.say_continue()

    def _give_room_back(self, connection: HttpConnection) -> None:
        if connection.reserved_bytes:
            self._large_room_bytes += connection.reserved_bytes
            connection.reserved_bytes = 0
            self._reading.discard(connection)
        while self._without_room:
            waiting = self._without_room[0]
            if not waiting.gone and waiting.expected_bytes > self._large_room_bytes:
                return
            self._without_room.popleft()
            if not waiting.gone:
                self._epoll.modify(waiting.socket, _IN)
                self._read_on(waiting)

    def _make_ready(self, connection: HttpConnection) -> None:
        self._reading.discard(connection)
        if self._waiting_count >= self._most_ready:
            self._refuse(
                connection, UnavailableError("The worker has no room. Send the request again shortly.")
            )
            return
        connection.computes = connection.waits = True
        self._waiting_count += 1
        self._ready.append(connection)

    def _refuse_slow_bodies(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + STAMP_SECONDS
        for connection in [each for each in self._reading if each.slow_at_seconds < now]:
            if connection.heard_bytes - connection.slow_at_bytes >= SLOW_BODY_BYTES:
                connection.slow_at_bytes = connection.heard_bytes
                connection.slow_at_seconds = now + SLOW_BODY_SECONDS
                continue
            problem = SlowBodyError(
                f"Less than {SLOW_BODY_BYTES // 1024} KiB of the body came in {SLOW_BODY_SECONDS:g} s. Send it "
                "without pauses."
            )
            connection.refuse(problem)
            self._refuse(connection, problem)

    def _rest(self, connection: HttpConnection) -> None:
        """The answer is sent: wait for the next request."""
        if connection.closes:
            connection.gone = True
        elif not connection.gone:
            self._epoll.modify(connection.socket, _IN)

    def _drop(self, connection: HttpConnection) -> None:
        connection.gone = True
        self._wait_no_more(connection)
        self._connections.pop(connection.socket.fileno(), None)
        connection.socket.close()  # which takes it out of the epoll, too
        self._give_room_back(connection)

    # -- batches

    def _answer_batch(self) -> None:
        batch = self._take_batch()
        if not batch:
            return
        self._pulse.busy()
        waits = [self._clock.seconds_since(each.arrived_us) for each in batch]
        due = [wait <= self._deadline_seconds for wait in waits]
        for connection, is_due in zip(batch, due, strict=True):
            if not is_due:
                self._refuse(connection, _overdue())
        if not all(due):
            batch = [each for each, is_due in zip(batch, due, strict=True) if is_due]
            waits = [wait for wait, is_due in zip(waits, due, strict=True) if is_due]
        if batch:
            requests = [each.request for each in batch if each.request is not None]
            responses = self._answer(requests, waits)
            # Who sent more before it was answered, or has gone, is known before an answer goes out.
            self._see_to_events(0)
            for connection, response in zip(batch, responses, strict=True):
                if not connection.gone:
                    self._send(connection, response)
        self._pulse.answered(len(batch))

    def _take_batch(self) -> list[HttpConnection]:
        """So many of those that wait as are a batch; who has gone is left out."""
        batch: list[HttpConnection] = []
        while self._ready and len(batch) < self._batch_size:
            connection = self._ready.popleft()
            if not connection.gone:
                self._wait_no_more(connection)
                batch.append(connection)
        return batch

    def _wait_no_more(self, connection: HttpConnection) -> None:
        self._waiting_count -= connection.waits
        connection.waits = False

    def _refuse(self, connection: HttpConnection, problem: RequestError) -> None:
        self._send(connection, problem_response(problem, connection.identity))

    def _send(self, connection: HttpConnection, response: Response) -> None:
        closes = connection.closes
        self._give_room_back(connection)
        connection.computes = False
        connection.answer(self._heads.of(response, closes=closes), response.body)
        if connection.sends:
            self._epoll.modify(connection.socket, select.EPOLLOUT | _AWAY)
        elif closes or connection.gone:
            self._drop(connection)


def _overdue() -> UnavailableError:
    return UnavailableError(
        "There was no worker before the deadline (limits.request_timeout_seconds in deployment.yaml): many "
        "requests were before it. Send it again later."
    )


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    mask = os.umask(0o177)  # so that nobody else can connect before the mode is set
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener
