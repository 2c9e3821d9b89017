from statehouse.scripts.servers.torchserve_metrics import Measured, read_measured

# As TorchServe 0.12.0 writes it.
TEXT = """\
# HELP Requests2XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="vm",} 107.0
# HELP ts_inference_requests_total Torchserve prometheus counter metric with unit: Count
# TYPE ts_inference_requests_total counter
ts_inference_requests_total{model_name="small",model_version="1.0-g0",hostname="vm",} 2.0
ts_inference_requests_total{model_name="small",model_version="1.0-g3",hostname="vm",} 5.0
ts_inference_requests_total{model_name="small",model_version="default",hostname="vm",} 9.0
# HELP ts_queue_latency_microseconds Torchserve prometheus counter metric with unit: Microseconds
# TYPE ts_queue_latency_microseconds counter
ts_queue_latency_microseconds{model_name="small",model_version="1.0-g0",hostname="vm",} 369.653
# TYPE ts_inference_latency_microseconds counter
ts_inference_latency_microseconds{model_name="small",model_version="1.0-g0",hostname="vm",} 4823.628
# TYPE WorkerLoadTime gauge
WorkerLoadTime{WorkerName="W-9003-small_1.0-g0",Level="Host",Hostname="vm",} 3066.0
"""


def test_figures_are_told_by_version_and_generation_in_seconds() -> None:
    first, third = ("small", "1.0", 0), ("small", "1.0", 3)
    assert read_measured(TEXT) == {
        Measured("requests", *first): 2,
        Measured("requests", *third): 5,
        Measured("queued", *first): 369.653e-6,
        Measured("served", *first): 4823.628e-6,
    }


def test_before_the_first_request_there_is_nothing() -> None:
    assert read_measured("") == {}
