"""The application as FastAPI's documentation has it, with the request's bytes read directly and orjson for JSON."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response

from benchmarks.peers.apps.network import answer_of, load_network, predict, row_of_bytes, row_of_numbers

app = FastAPI()
module = load_network()


@app.get("/health")
async def health() -> dict[str, bool]:
    """Tell that it is up."""
    return {"ready": True}


@app.post("/predict")
async def prediction(request: Request) -> Response:
    """Answer one row."""
    body = await request.body()
    if request.headers["content-type"] == "application/json":
        row = row_of_numbers(orjson.loads(body)["inputs"])
    else:
        row = row_of_bytes(body)
    return Response(orjson.dumps(answer_of(predict(module, row[None])[0])), media_type="application/json")
