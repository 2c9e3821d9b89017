import pytest
from ts.context import Context, RequestProcessor

from statehouse.handlers.request import Request, Response, read_requests, write_responses


def context_of(*headers):
    context = Context("model", "/nowhere", None, 8, None, "0.12.0")
    context.request_processor = [RequestProcessor(dict(each)) for each in headers]
    return context


def read(parameters, headers):
    [request] = read_requests([parameters], context_of(headers))
    return request


def test_a_raw_body_comes_with_its_type_form_and_headers():
    headers = {
        "body": {"content-type": "Image/PNG"},
        "Content-Type": "image/png; q=1",
        "url_path": "v2",
        "inference-header-content-length": "12",
        "content-encoding": "gzip",
    }
    assert read({"body": bytearray(b"x")}, headers) == Request(
        bytearray(b"x"), "image/png", "v2", inference_header_length="12", content_encoding="gzip"
    )


def test_grpc_sends_neither_headers_nor_types():
    assert read({"body": bytearray(b"{}")}, {"body": {"content-type": ""}}) == Request(bytearray(b"{}"))


def test_query_parameters_are_no_parts():
    headers = {"verbose": {"content-type": ""}, "body": {"content-type": "application/json"}}
    request = read({"verbose": b"1", "body": b"{}"}, {**headers, "content-type": "application/json"})
    assert (request.body, request.parts) == (b"{}", None)


def test_one_part_is_a_body():
    headers = {"image": {"content-type": "image/png"}, "content-type": "multipart/form-data; boundary=x"}
    request = read({"image": b"png"}, headers)
    assert (request.body, request.content_type, request.parts) == (b"png", "image/png", None)


def test_several_parts_stay_parts_even_if_one_is_named_body():
    headers = {
        "age": {"content-type": ""},
        "body": {"content-type": ""},
        "content-type": "multipart/form-data; boundary=x",
    }
    request = read({"age": b"1", "body": b"2"}, headers)
    assert {name: part.body for name, part in request.parts.items()} == {"age": b"1", "body": b"2"}


@pytest.mark.parametrize("path", ["", "v3", "explain"])
def test_any_other_path_is_a_prediction(path):
    assert read({"body": b"{}"}, {"url_path": path}).form == "predictions"


def test_no_body_at_all_is_an_empty_one():
    assert read({}, {}) == Request(b"")


def test_headers_named_like_parameters_do_no_harm():
    assert read({"body": b"{}"}, {"body": "text from a client's header"}).content_type == ""


def test_responses_reach_the_context_as_text():
    context = context_of({}, {})
    bodies = write_responses(
        [Response(200, b"{}", headers={"X-Model-Version": "1.0"}), Response(422, b"no", "text/plain")],
        context,
    )
    assert bodies == [b"{}", b"no"]
    assert context.get_response_status(1) == (422, "Unprocessable Entity")
    assert context.get_response_headers(0) == {"content-type": "application/json", "X-Model-Version": "1.0"}
