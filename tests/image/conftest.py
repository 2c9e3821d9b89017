"""The image, built once: from a base that mmdebstrap makes, with the packages this machine's pip would take."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.image.compose import Compose
from tests.image.container import IMAGE, Container
from tests.image.podman import Podman

ROOT = Path(__file__).resolve().parents[2]
# Kept between runs: a base and layers that are there need not be made again. `make clean` removes it.
KEPT = ROOT / ".image-test"
BASE = "statehouse-base"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
PROMETHEUS_PACKAGES = "prometheus,wget"
CERTIFICATES = "/etc/ssl/certs"


def make_debian(podman: Podman, name: str, packages: str, *changes: str) -> None:
    """A small Debian in place of an image that is ordinarily downloaded."""
    archive = KEPT / "debian.tar"
    made = subprocess.run(
        ["mmdebstrap", "--variant=minbase", f"--include={packages}", "--dpkgopt=force-unsafe-io",
         "bookworm", archive],
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    podman("import", "--quiet", *(f"--change={change}" for change in changes), str(archive), name)
    archive.unlink()


def packages_of_this_machine() -> list[str]:
    """Tell the build where packages come from here: the certificates, and wheels that lie on disk."""
    options = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]
    wheels = os.environ.get("PIP_FIND_LINKS", "")
    if Path(wheels).is_dir() and wheels:
        options += [f"--volume={wheels}:{wheels}:ro", f"--build-arg=UV_FIND_LINKS={wheels}"]
        options += ["--build-arg=TORCH_BACKEND="]
    return options


@pytest.fixture(scope="session")
def podman() -> Podman:
    """What follows needs root on Debian, with `make test-deps`."""
    return Podman(KEPT)


@pytest.fixture(scope="session")
def image(podman: Podman) -> str:
    """The image of this checkout."""
    if not podman.has_image(BASE):
        make_debian(podman, BASE, BASE_PACKAGES)
    podman(
        "build", "--isolation=chroot", "--network=host", "--format=docker", f"--tag={IMAGE}",
        f"--build-arg=BASE={BASE}", *packages_of_this_machine(), str(ROOT),
    )  # fmt: skip
    return IMAGE


@pytest.fixture(scope="module")
def compose(podman: Podman, image: str) -> Iterator[Compose]:
    """The project of deploy/compose.yaml, not started; Debian's Prometheus has the ordinary image's name."""
    project = Compose(podman)
    name = f"localhost/{project.services['prometheus']['image']}"
    if not podman.has_image(name):
        make_debian(podman, name, PROMETHEUS_PACKAGES, 'ENTRYPOINT ["/usr/bin/prometheus"]')
    yield project
    project.end()


@pytest.fixture(scope="module")
def make_container(podman: Podman, image: str) -> Iterator[Callable[..., Container]]:
    """Return a function that makes a container with a volume of its own, not started yet."""
    made: list[Container] = []

    def make(name: str, *, network: str) -> Container:
        container = Container(podman, f"statehouse-test-{name}", network=network)
        container.remove()
        made.append(container)
        return container

    yield make
    for container in made:
        container.remove()
