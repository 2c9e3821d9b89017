"""One deployment's gate: keeps the front's certificate and keys as they should be, while it serves."""

from __future__ import annotations

from pathlib import Path

from statehouse.scripts.access.certificate import Certificate
from statehouse.scripts.access.client_keys import ClientKeys
from statehouse.scripts.deployment.listen import Access
from statehouse.scripts.errors import CertificateError, ClientKeysError, ServerError
from statehouse.scripts.servers.haproxy import Front
from statehouse.scripts.servers.private_folder import RuntimeFolder


class Gate:
    """Certificate and keys of one deployment; all checked when it is made.

    Raises CertificateError, ClientKeysError.
    """

    def __init__(self, deployment_file: Path, access: Access, runtime: RuntimeFolder) -> None:
        given = [name for name in (access.certificate, access.private_key) if name]
        folder = deployment_file.resolve().parent
        self._certificate = (
            Certificate([folder / name for name in given], runtime.certificate) if given else None
        )
        if self._certificate is not None:
            self._certificate.take()
        self._keys = ClientKeys(deployment_file.with_suffix(".keys.json")) if access.keys else None
        self.connections_per_address = access.connections_per_address if access.keys else None

    @property
    def has_certificate(self) -> bool:
        """Whether the front speaks TLS."""
        return self._certificate is not None

    @property
    def asks_for_keys(self) -> bool:
        """Whether requests need a key."""
        return self._keys is not None

    @property
    def keys(self) -> ClientKeys:
        """The clients' keys; ClientKeysError where the deployment asks for none."""
        if self._keys is None:
            raise ClientKeysError(
                "This deployment asks for no keys. Add these lines to it and start `statehouse serve` again:\n\n"
                "access:\n  keys: true"
            )
        return self._keys

    def tell_before_its_start(self, front: Front) -> None:
        """Have a front that does not run yet let in those who have keys."""
        if self._keys is not None:
            front.know_clients(self._keys.maps())

    async def tell(self, front: Front) -> None:
        """Have a running front let in those who have keys now."""
        await front.set_clients(self.keys.maps())

    async def renew_the_certificate(self, front: Front) -> bool:
        """Show the certificate once its files are others than before; return whether they were.

        Raises CertificateError or FrontError for one that cannot be used: the one before is still shown.
        """
        if self._certificate is None or not self._certificate.has_changed():
            return False
        try:
            await front.set_certificate(self._certificate.take())
        except ServerError as error:
            raise CertificateError(
                f"The certificate was not renewed, the one before is still shown: {error}"
            ) from error
        return True
