"""What can go wrong in ``statehouse``, the operator's command, and its supervisor.

::

    StatehouseError                    (statehouse.models.errors)
    ├── NameRuleError                  a model's name or version that no URL or folder could carry
    ├── StoreError
    │   ├── VersionNotFoundError       no such version in the model store
    │   ├── VersionFolderError         a version's folder is not as it was published
    │   ├── ManifestError              its version.json is not one that this Statehouse can read
    │   ├── VersionExistsError         another digest is published under this name and version
    │   ├── StoreWriteError            the store could not be written: full, read-only, not a folder
    │   ├── StoreAddressError          no store can be at this address, or what reads it is not installed
    │   ├── StoreRefusedError          the store answers, and lets us not do this
    │   ├── StoreAwayError             the store does not answer
    │   ├── ChangedObjectError         an object was replaced while it was read
    │   ├── TransferStoppedError       a transfer was stopped, because what wanted it was
    │   └── CacheError                 the cache of fetched versions cannot be used
    ├── PublishError                   a checkpoint that may not become a version, with every reason
    ├── ExportError                    a version that cannot be exported so, with every reason
    ├── ExampleFileError               an --example file that cannot be a golden example
    ├── InspectTargetError             neither a file nor a version
    ├── ArgumentError                  an option's value is not what the option takes
    ├── DeploymentError
    │   ├── DeploymentNotFoundError    there is no such file
    │   ├── DeploymentContentError     the file does not say a valid desired state
    │   └── DeploymentWriteError       the file, or the journal beside it, cannot be written
    └── ServerError
        ├── AlreadyServingError        another supervisor holds this deployment
        ├── RuntimeFolderError         the private folder cannot be used
        ├── ServerStartError           TorchServe or the front did not start
        ├── ServerEndedError           TorchServe or the front ended while it was needed
        ├── TorchServeError            TorchServe refused what the supervisor asked of it
        ├── FrontError                 the front refused what the supervisor asked of it
        ├── VersionStartError          a version's workers could not start, with their own reason
        ├── UnknownCodeError           a version was proved by code that this deployment does not have
        ├── ChangeError                a change that was refused, or was undone
        │   ├── ChangeBusyError            another runs, and this one was not to wait
        │   ├── ChangeAbortedError         somebody aborted it; all is as it was before
        │   ├── EditedDeploymentError      deployment.yaml was edited and is not applied
        │   ├── InterfaceError             the new version takes or gives something else than the one that serves
        │   ├── NotEnoughMemoryError       both versions do not fit at once
        │   ├── GoldenRequestError         a version did not give its golden answers by its own URL
        │   ├── ShadowError                the new version answered too many requests otherwise
        │   └── RolledBackError            the new version did not pass; the old one serves again
        ├── CertificateError           the front's certificate, or its private key, cannot be used
        ├── ClientKeysError            the clients' keys cannot be read, or not be changed as asked
        ├── NotServingError            no supervisor runs for this deployment
        └── CommandError               the supervisor could not do what a command asked of it
            └── GoesOnError                the command ended, and the change that it asked for goes on

Those that are ProblemsErrors too found every problem at once, in ``problems``, and print one per line.
"""

from __future__ import annotations

from statehouse.models.errors import ProblemsError, StatehouseError


class NameRuleError(StatehouseError):
    """A model's name or version that no URL or folder could carry."""


class StoreError(StatehouseError):
    """Something about the model store."""


class VersionNotFoundError(StoreError):
    """There is no such version in the model store."""


class VersionFolderError(ProblemsError, StoreError):
    """A version's folder is not as it was published."""


class ManifestError(ProblemsError, StoreError):
    """A ``version.json`` that this Statehouse cannot read."""


class VersionExistsError(StoreError):
    """Another digest is published under this name and version."""


class StoreWriteError(StoreError):
    """The model store could not be written."""


class StoreAddressError(StoreError):
    """No store can be at this address, or what reads it is not installed."""


class StoreRefusedError(StoreError):
    """The store answers, and lets us not do this."""


class StoreAwayError(StoreError):
    """The store does not answer."""


class ChangedObjectError(StoreError):
    """An object was replaced while it was read."""


class TransferStoppedError(StoreError):
    """A transfer was stopped, because what wanted it was."""


class CacheError(StoreError):
    """The cache of fetched versions cannot be used."""


class PublishError(ProblemsError):
    """A checkpoint that may not become a version."""


class ExportError(ProblemsError):
    """A version cannot be exported in this form."""


class ExampleFileError(StatehouseError):
    """A file given as an example cannot be a golden example."""


class InspectTargetError(StatehouseError):
    """What was to be inspected is neither a file nor a version."""


class DeploymentError(StatehouseError):
    """Something about ``deployment.yaml``."""


class DeploymentNotFoundError(DeploymentError):
    """There is no such deployment file."""


class DeploymentContentError(ProblemsError, DeploymentError):
    """The file does not say a valid desired state."""


class DeploymentWriteError(DeploymentError):
    """The deployment file, or the journal beside it, cannot be written."""


class ServerError(StatehouseError):
    """The servers could not be started or told something."""


class AlreadyServingError(ServerError):
    """Another supervisor holds this deployment."""


class RuntimeFolderError(ServerError):
    """The private folder of a deployment cannot be used."""


class ServerStartError(ServerError):
    """TorchServe or the front did not start."""


class ServerEndedError(ServerError):
    """TorchServe or the front ended while it was needed."""


class TorchServeError(ServerError):
    """TorchServe refused what the supervisor asked of it."""


class FrontError(ServerError):
    """The front refused what the supervisor asked of it."""


class VersionStartError(ServerError):
    """A version's workers could not start."""


class UnknownCodeError(ServerError):
    """A version was proved by an architecture module that this deployment does not have."""


class CertificateError(ServerError):
    """The front's certificate, or its private key, cannot be used."""


class ClientKeysError(ServerError):
    """The clients' keys cannot be read, or not be changed as asked."""


class NotServingError(ServerError):
    """No supervisor runs for this deployment."""


class CommandError(ServerError):
    """The supervisor could not do what a command asked of it."""


class GoesOnError(CommandError):
    """The command was interrupted, and the change that it asked for goes on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ArgumentError(StatehouseError):
    """An option's value is not what the option takes."""


class ChangeError(ServerError):
    """A change that was refused, or was undone."""


class ChangeBusyError(ChangeError):
    """Another change runs, and this one was not to wait."""


class ChangeAbortedError(ChangeError):
    """Somebody aborted the change; all is as it was before."""


class EditedDeploymentError(ChangeError):
    """``deployment.yaml`` was edited and is not applied."""


class InterfaceError(ChangeError):
    """The new version takes or gives something else than the one that serves."""


class NotEnoughMemoryError(ChangeError):
    """Both versions do not fit in memory at once."""


class GoldenRequestError(ChangeError):
    """A version did not give its golden answers when asked by its own URL."""


class RolledBackError(ChangeError):
    """The new version was worse than the limits given, or had too few requests to tell; the old one serves again."""


class ShadowError(ChangeError):
    """The new version answered too many requests otherwise than the old one."""
