"""An open loop against real servers: each request is sent on time or counted as what became of it."""

import asyncio

from tests.scripts.load_test.counting_server import CountingServer, Exchange, answer_bytes, run_still

from statehouse.scripts.load_test import Body, LoadPlan, LoadProgress, LoadResult, OpenLoop, run_load

STALL_SECONDS = 0.5


def assert_all_accounted_for(result: LoadResult) -> None:
    assert result.planned == result.answered + sum(result.errors.values()) + result.unsent
    assert result.answered == sum(result.statuses.values()) == result.latency.count
    assert result.answered == sum(version.answers for version in result.versions)


def test_exactly_rate_times_duration_requests_arrive_each_body_in_turn() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            bodies = tuple(Body(bytes([index]), "application/octet-stream") for index in range(3))
            result = await run_load(server.plan(OpenLoop(400, 0.75), bodies=bodies))
        assert len(server.arrived) == result.planned == result.sent == result.answered == 300
        assert [server.arrived.count(body.content) for body in bodies] == [100, 100, 100]
        assert result.failed == result.unsent == result.connections_lost == 0
        assert server.connections == result.connections_opened
        assert result.generator.lateness.count == 300
        assert 0 < result.answers_per_second <= 400
        assert_all_accounted_for(result)

    run_still(scenario())


def test_a_stall_is_charged_to_all_who_would_have_come_meanwhile() -> None:
    stalled_until = 0.0

    async def stall_once(exchange: Exchange) -> None:
        nonlocal stalled_until
        now = asyncio.get_running_loop().time()
        if exchange.index == 40:
            stalled_until = now + STALL_SECONDS
        await asyncio.sleep(max(0.0, stalled_until - now))
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(stall_once) as server:
            result = await run_load(server.plan(OpenLoop(200, 1.2, max_connections=4)))
        assert result.answered == 240
        assert result.latency.max_seconds >= STALL_SECONDS
        # 100 of 240 were due in the stall: a tenth of all waited longer than half of it.
        assert result.latency.p90_seconds >= STALL_SECONDS / 2
        assert result.longest_gap_seconds >= STALL_SECONDS * 0.9
        assert 0.1 < result.longest_gap_began_seconds < 0.6
        assert (
            result.waited >= 50
        )  # four connections hold four requests; the others waited, and count from their time
        assert result.slowest_intended_send_seconds is not None
        assert_all_accounted_for(result)

    run_still(scenario())


def test_requests_that_no_connection_was_free_for_in_time_are_unsent() -> None:
    async def never(exchange: Exchange) -> None:
        await asyncio.sleep(0.6)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(never) as server:
            arrivals = OpenLoop(100, 0.3, max_connections=2)
            result = await run_load(server.plan(arrivals, max_wait_seconds=0.1))
        assert result.sent == len(server.arrived) == result.answered == 2
        assert result.unsent == 28
        assert result.failed == 28
        assert_all_accounted_for(result)

    run_still(scenario())


def test_a_timeout_is_one_and_its_late_answer_is_nobodys() -> None:
    async def late_at_first(exchange: Exchange) -> None:
        if exchange.index < 3:
            await asyncio.sleep(0.5)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(late_at_first) as server:
            result = await run_load(server.plan(OpenLoop(20, 1), timeout_seconds=0.25))
        assert result.errors == {"timeout": 3}
        assert result.answered == 17
        assert result.connections_lost == 3
        assert_all_accounted_for(result)

    run_still(scenario())


def test_each_way_to_break_a_connection_has_its_own_count() -> None:
    async def break_it(exchange: Exchange) -> None:
        match exchange.index:
            case 5:
                exchange.reset()
            case 10:
                exchange.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                exchange.writer.close()
            case 15 | 16:
                exchange.writer.close()
            case 20:
                exchange.writer.write(b"220 mail.test ESMTP\r\n\r\n")
            case _:
                exchange.answer()

    async def scenario() -> None:
        async with CountingServer(break_it) as server:
            result = await run_load(server.plan(OpenLoop(100, 0.4)))
        closed = {"connection_reset", "closed_before_answer"}  # an abort is seen as either, by chance
        assert sum(result.errors.get(kind, 0) for kind in closed) == 3
        assert result.errors["closed_before_answer"] >= 2
        assert result.errors["closed_inside_answer"] == 1
        assert result.errors["not_http"] == 1
        assert result.answered == 35
        assert result.connections_lost == 5
        assert_all_accounted_for(result)

    run_still(scenario())


def test_a_server_that_is_not_there_fails_every_request() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            plan = server.plan(OpenLoop(100, 0.2))
        result = await run_load(plan)
        assert result.errors == {"connection_refused": 20}
        assert (result.planned, result.sent, result.answered) == (20, 0, 0)
        assert result.longest_gap_seconds == result.elapsed_seconds > 0
        assert_all_accounted_for(result)

    run_still(scenario())


def test_statuses_and_versions_are_told_apart() -> None:
    async def swap(exchange: Exchange) -> None:
        version = "1.0" if exchange.index < 30 else "1.1"
        exchange.answer(503 if exchange.index == 10 else 200, None if exchange.index == 20 else version)

    async def scenario() -> None:
        async with CountingServer(swap) as server:
            result = await run_load(server.plan(OpenLoop(100, 0.6)))
        assert result.statuses == {200: 59, 503: 1}
        assert result.failed == 1
        assert not result.errors
        old, new, unnamed = result.version("1.0"), result.version("1.1"), result.version(None)
        assert old is not None
        assert new is not None
        assert unnamed is not None
        assert (old.answers, old.statuses) == (29, {200: 28, 503: 1})
        assert (new.answers, unnamed.answers) == (30, 1)
        assert old.latency.count == 29
        assert result.version("1.2") is None
        # The order of intended sends is that of arrivals here, so the flip is seen exactly.
        assert round(old.first_intended_send_seconds * 100) == 0
        assert round(old.last_intended_send_seconds * 100) == 29
        assert round(new.first_intended_send_seconds * 100) == 30
        assert old.last_sent_seconds >= old.last_intended_send_seconds
        assert old.last_answer_seconds < new.first_answer_seconds < new.last_answer_seconds
        assert_all_accounted_for(result)

    run_still(scenario())


def test_a_server_that_closes_after_each_answer_is_reconnected_to() -> None:
    async def once(exchange: Exchange) -> None:
        exchange.answer(200, "1.0", "Connection: close")
        exchange.writer.close()

    async def scenario() -> None:
        async with CountingServer(once) as server:
            result = await run_load(server.plan(OpenLoop(50, 0.4)))
        assert result.answered == 20
        assert not result.errors
        assert server.connections == result.connections_opened >= 20
        assert 0 < result.reconnects <= result.connections_lost <= server.connections

    run_still(scenario())


def test_chunked_answers_and_split_packets_are_answers() -> None:
    async def drip(exchange: Exchange) -> None:
        parts = (b"HTTP/1.1 200 O", b"K\r\ntransfer-encoding: chunked\r\nx-model-ver", b"sion: 7\r\n\r")
        for part in (*parts, b"\n2\r\nab\r", b"\n0\r\n\r", b"\n"):
            exchange.writer.write(part)
            await asyncio.sleep(0.002)

    async def scenario() -> None:
        async with CountingServer(drip) as server:
            result = await run_load(server.plan(OpenLoop(50, 0.4)))
        assert result.statuses == {200: 20}
        assert [version.version for version in result.versions] == ["7"]
        assert result.connections_lost == 0

    run_still(scenario())


def test_a_load_that_is_stopped_counts_what_was_due_by_then() -> None:
    async def scenario() -> None:
        async with CountingServer() as server:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.3, stop.set)
            told: list[LoadProgress] = []
            result = await run_load(server.plan(OpenLoop(100, 60)), told.append, stop)
        assert result.interrupted
        assert 0 < result.planned == result.answered == len(server.arrived) < 1000
        assert result.elapsed_seconds < 30
        assert result.records.seconds.min() >= 0
        assert told[-1].recent_p99_seconds >= 0
        assert_all_accounted_for(result)

    run_still(scenario())


def test_progress_is_told_until_all_is_answered() -> None:
    async def scenario() -> None:
        told = []
        async with CountingServer() as server:
            result = await run_load(server.plan(OpenLoop(100, 0.5)), on_progress=told.append)
        assert [progress.planned for progress in told] == [50] * len(told)
        assert sorted(told, key=lambda progress: progress.answered) == told
        assert len(told) >= 2
        assert told[-1].answered == result.answered == 50

    run_still(scenario())


def test_a_timeout_counts_from_the_send_and_waiting_has_its_own_bound() -> None:
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        exchange.answer()

    async def scenario() -> None:
        async with CountingServer(slowly) as server:
            arrivals = OpenLoop(100, 0.08, max_connections=1)
            result = await run_load(server.plan(arrivals, timeout_seconds=1, max_wait_seconds=30))
        assert result.answered == 8
        assert result.latency.max_seconds > 1.4  # it waited for the seven before it, and was then in time
        assert result.longest_wait_seconds > 1.2

    run_still(scenario())


def test_a_connection_answered_before_it_was_sent_all_is_not_used_again() -> None:
    async def refuse_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heads.append(1)
        writer.write(answer_bytes(413))
        await asyncio.sleep(0.3)
        writer.close()

    heads: list[int] = []

    async def scenario() -> None:
        listener = await asyncio.start_server(refuse_unread, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        body = Body(bytes(16 * 1024 * 1024), "application/octet-stream")
        plan = LoadPlan.for_url(f"http://127.0.0.1:{port}/", [body], OpenLoop(10, 0.5))
        result = await run_load(plan)
        listener.close()
        await asyncio.sleep(1)  # the last connections have ended
        assert result.statuses == {413: 5}
        assert result.connections_opened == len(heads) == 5

    run_still(scenario())
