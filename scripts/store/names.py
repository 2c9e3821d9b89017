"""What a model and its versions may be called: safe in a URL, a folder, a metric label and a map key.

A version's folder is ``NAME-VERSION``; it is read back by its last ``-``, so versions have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator

from statehouse.scripts.errors import NameRuleError

MAX_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*")


def check_name(name: str) -> str:
    """Return ``name`` when a model may be called so; NameRuleError says what is allowed."""
    if not _NAME.fullmatch(name) or ".." in name or len(name) > MAX_LENGTH:
        raise NameRuleError(
            f"{name!r} cannot be a model's name: use letters, digits, '_', '.' and '-', starting with a "
            f"letter or a digit, without '..', at most {MAX_LENGTH} characters; for example 'digits'."
        )
    return name


def check_version(version: str) -> str:
    """Return ``version`` when a version may be called so; NameRuleError says what is allowed."""
    if not _VERSION.fullmatch(version) or len(version) > MAX_LENGTH or not _is_ordered(version):
        raise NameRuleError(
            f"{version!r} cannot be a version: use a version number such as '1.0', '2.1.3' or '1.0rc1' "
            f"(no '-' or '+', at most {MAX_LENGTH} characters)."
        )
    return version


def folder_name(name: str, version: str) -> str:
    """Return the folder of a version in the model store, ``digits-1.0``."""
    return f"{check_name(name)}-{check_version(version)}"


def split_folder_name(folder: str) -> tuple[str, str]:
    """Return name and version of a version's folder; NameRuleError when it is not named like one."""
    name, dash, version = folder.rpartition("-")
    if not dash:
        raise NameRuleError(f"{folder!r} is not NAME-VERSION, like 'digits-1.0'.")
    return check_name(name), check_version(version)


def version_order(version: str) -> tuple[Version, str]:
    """Return a key that sorts versions as people count: 1.9 < 1.10, 2.0rc1 < 2.0."""
    return Version(version), version


def _is_ordered(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


def _valid_name(name: str) -> str:
    try:
        return check_name(name)
    except NameRuleError as error:
        raise ValueError(str(error)) from None


def _valid_version(version: str) -> str:
    try:
        return check_version(version)
    except NameRuleError as error:
        raise ValueError(str(error)) from None


ModelName = Annotated[str, AfterValidator(_valid_name)]
ModelVersion = Annotated[str, AfterValidator(_valid_version)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'digits'?` where one of the known names is close, else nothing."""
    close = get_close_matches(name, sorted(set(known) - {name}), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
