"""An application on a socket of ours, inside the loop."""

import asyncio
import signal
import stat

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from statehouse.scripts.servers.local_http import LocalServer, unix_listener


def test_only_its_owner_may_connect(short_folder):
    with unix_listener(short_folder / "s"):
        assert stat.S_IMODE((short_folder / "s").stat().st_mode) == 0o600


def test_it_answers_until_it_is_stopped_and_what_is_in_flight_as_well(short_folder):
    begun, released = asyncio.Event(), asyncio.Event()

    async def slow(request):
        begun.set()
        await released.wait()
        return PlainTextResponse("late")

    async def run():
        server = LocalServer(Starlette(routes=[Route("/", slow)]), unix_listener(short_folder / "s"))
        handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        await server.start()
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        transport = httpx.AsyncHTTPTransport(uds=str(short_folder / "s"))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            asked = asyncio.create_task(client.get("/", headers={"connection": "close"}))
            await begun.wait()
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            released.set()
            answer = (await asked).text
        await stopping
        return answer

    assert asyncio.run(run()) == "late"


def test_one_that_was_never_started_stops(short_folder):
    async def run():
        with unix_listener(short_folder / "s") as listener:
            await LocalServer(Starlette(), listener).stop()

    asyncio.run(run())
