import pytest

from statehouse.scripts.deployment.file import (
    Deployment,
    ModelDeployment,
    VersionSettings,
    deployment_from_store,
    read_deployment,
    write_deployment,
)
from statehouse.scripts.deployment.listen import Listen, split_address
from statehouse.scripts.errors import DeploymentContentError, DeploymentNotFoundError
from statehouse.scripts.store import LocalStore

EXAMPLE = """\
model_store: store
architectures: [my_nets]
listen:
  front: 127.0.0.2:80
limits:
  request_timeout_seconds: 5
models:
  digits:
    default: 1.10
    versions:
      1.9:
      1.10: {workers: 2, batch_size: 32}
"""


def settings(text):
    return f"models: {{a: {{default: 1.0, versions: {{1.0: {{{text}}}}}}}}}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deployment.yaml"


def problems_in(path, text):
    path.write_text(text)
    with pytest.raises(DeploymentContentError) as caught:
        read_deployment(path)
    return caught.value.problems


def test_reads_versions_as_they_are_written(path):
    path.write_text(EXAMPLE)
    deployment = read_deployment(path)
    assert deployment.models["digits"].default == "1.10"
    assert deployment.models["digits"].versions == {
        "1.9": VersionSettings(),
        "1.10": VersionSettings(workers=2, batch_size=32),
    }
    assert deployment.listen == Listen(front="127.0.0.2:80")
    assert deployment.limits.request_timeout_seconds == 5
    assert deployment.limits.slots == 4096
    assert deployment.architectures == ["my_nets"]


def test_the_store_is_seen_from_the_file(path):
    path.write_text(EXAMPLE)
    assert read_deployment(path).store_address(path) == str(path.parent / "store")


def test_reads_what_it_wrote(path):
    path.write_text(EXAMPLE)
    deployment = read_deployment(path)
    write_deployment(path, deployment)
    assert read_deployment(path) == deployment
    assert [entry.name for entry in path.parent.iterdir()] == ["deployment.yaml"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models:\nlisten:\narchitectures:\n"])
def test_what_is_left_empty_has_its_defaults(path, text):
    path.write_text(text)
    assert read_deployment(path) == Deployment()


def test_a_missing_file_says_what_to_do(path):
    with pytest.raises(DeploymentNotFoundError, match="statehouse serve` makes one"):
        read_deployment(path)


def test_every_problem_is_reported_with_its_line(path):
    problems = problems_in(
        path,
        """\
listen:
  front: nowhere
  port: 80
models:
  ../digits:
    default: "1.0"
    versions:
      "1.0": {workers: 0, batch_size: many}
  cancer:
    default: "2.0"
    versions:
      "1.0":
""",
    )
    text = "\n".join(problems)
    assert len(problems) == 6
    for expected in (
        "line 2, listen.front: 'nowhere' is not an address; expected HOST:PORT",
        "line 3, listen.port: there is no such setting",
        "line 5, models['../digits'] (the key): '../digits' cannot be a model's name",
        "line 8, models['../digits'].versions['1.0'].workers: Input should be greater",
        "line 8, models['../digits'].versions['1.0'].batch_size",
        "line 9, models.cancer: default '2.0' is not among versions ['1.0']",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: {a: {}, a: {}}", "line 1: 'a' is said twice"),
        ("listen: &x {}\nlimits: *x", "line 1: an anchor is used again"),
        ("models: &x {a: *x}", "an anchor is used again"),
        ("? [a]\n: 1", "line 1: a key must be plain text"),
        ("models: [", "not YAML"),
        ("- models", "the file: Input should be a valid dictionary"),
        ("models: {a: {default: 1.0}}", "models.a.versions: Field required"),
        ("listen: {front: '127.0.0.1:1', grpc: '127.0.0.1:1'}", "must listen on different addresses"),
        ("architectures: [../evil.py]", "architectures[0]"),
        (
            settings("batch_size: 0"),
            "models.a.versions['1.0'].batch_size: Input should be greater than or equal to 1",
        ),
        (settings("batch_size: 1025"), "less than or equal to 1024"),
        (settings("max_batch_delay_ms: 1"), "max_batch_delay_ms: there is no such setting"),
        ("limits: {slots: 1}", "limits.slots: Input should be greater than or equal to 2"),
    ],
)
def test_one_problem(path, text, problem):
    found = problems_in(path, text)
    assert len(found) == 1
    assert problem in found[0]


def test_a_file_that_is_not_text(path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeploymentContentError, match="cannot be read"):
        read_deployment(path)


@pytest.mark.parametrize(
    ("address", "parts"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(address, parts):
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["", "8080", ":8080", "host:", "host:65536", "a b:1", "::1:80"])
def test_other_text_is_no_address(address):
    with pytest.raises(ValueError, match="is not an address"):
        split_address(address)


def test_the_highest_version_of_each_name_is_its_default(store_folder, make_version):
    for name, version in [("digits", "1.9"), ("digits", "1.10"), ("digits", "1.10rc1"), ("cancer", "1.0")]:
        make_version(name, version)
    deployment = deployment_from_store(
        LocalStore(store_folder).scan().versions, model_store=str(store_folder)
    )
    assert deployment.models == {
        "cancer": ModelDeployment(default="1.0", versions={"1.0": VersionSettings()}),
        "digits": ModelDeployment(default="1.10", versions={"1.10": VersionSettings()}),
    }
