"""Nothing faces other machines but a front with TLS and keys; the file that says otherwise is refused."""

from pathlib import Path

import pytest

from statehouse.scripts.deployment.file import read_deployment
from statehouse.scripts.deployment.listen import LINE_TO_ADD
from statehouse.scripts.errors import DeploymentContentError

ACCESS = "access: {certificate: server.pem, keys: true}"


def problem_in(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(DeploymentContentError) as refused:
        read_deployment(file)
    [problem] = refused.value.problems
    return problem


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "models.example.org", "0", "127.1"])
@pytest.mark.parametrize("access", ["", "access: {certificate: server.pem}", "access: {keys: true}"])
def test_a_front_for_others_is_refused_without_both_with_the_lines_to_add(
    tmp_path: Path, host: str, access: str
) -> None:
    problem = problem_in(tmp_path / "d.yaml", f"listen: {{front: '{host}:8443'}}\n{access}\n")
    assert f"{host}:8443" in problem
    assert LINE_TO_ADD in problem


def test_with_the_lines_added_it_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(f"listen: {{front: '0.0.0.0:8443'}}\n{LINE_TO_ADD}\n")
    deployment = read_deployment(file)
    assert (deployment.access.certificate, deployment.access.keys) == ("server.pem", True)


@pytest.mark.parametrize("which", ["reader", "grpc"])
@pytest.mark.parametrize("access", ["", ACCESS])
def test_nothing_else_is_ever_open_to_others(tmp_path: Path, which: str, access: str) -> None:
    problem = problem_in(tmp_path / "d.yaml", f"listen: {{{which}: '0.0.0.0:9000'}}\n{access}\n")
    assert f"listen.{which}, 0.0.0.0:9000" in problem


def test_all_of_it_is_said_at_once(tmp_path: Path) -> None:
    text = "listen: {front: '0.0.0.0:1', reader: '0.0.0.0:2', grpc: '0.0.0.0:3'}"
    problem = problem_in(tmp_path / "d.yaml", text)
    assert all(f"listen.{which}" in problem for which in ("front", "reader", "grpc"))


def test_a_private_key_needs_its_certificate(tmp_path: Path) -> None:
    assert "private_key goes with a certificate" in problem_in(
        tmp_path / "d.yaml", "access: {private_key: k.pem}"
    )
