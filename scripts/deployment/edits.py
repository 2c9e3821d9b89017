"""Desired states made of desired states: what a change wants of the deployment, as new values."""

from __future__ import annotations

from statehouse.scripts.deployment.file import Deployment, ModelDeployment, VersionSettings


def holds(deployment: Deployment, name: str, version: str) -> bool:
    """Whether the desired state has this version loaded."""
    return name in deployment.models and version in deployment.models[name].versions


def settings_for(deployment: Deployment, name: str, version: str) -> VersionSettings | None:
    """Return a version's own settings, else those of the version it succeeds; None for a new name's first."""
    model = deployment.models.get(name)
    if model is None:
        return None
    return model.versions.get(version) or model.versions[model.default]


def with_version(deployment: Deployment, name: str, version: str, settings: VersionSettings) -> Deployment:
    """Return the deployment in which ``version`` is loaded with ``settings``; a new name's first is its default."""
    model = deployment.models.get(name)
    if model is None:
        return _with_model(deployment, name, ModelDeployment(default=version, versions={version: settings}))
    versions = {**model.versions, version: settings}
    return _with_model(deployment, name, model.model_copy(update={"versions": versions}))


def with_default(deployment: Deployment, name: str, version: str, settings: VersionSettings) -> Deployment:
    """Return the deployment in which ``version`` is loaded and is the default; the old one can be rolled back to."""
    loaded = with_version(deployment, name, version, settings)
    model = loaded.models[name]
    if model.default == version:
        return loaded
    changed = model.model_copy(update={"default": version, "previous": model.default})
    return _with_model(loaded, name, changed)


def without(deployment: Deployment, name: str, version: str) -> Deployment:
    """Return the deployment in which ``version`` is not loaded; with its last version a name goes too."""
    model = deployment.models[name]
    versions = {each: settings for each, settings in model.versions.items() if each != version}
    if not versions:
        models = {each: model for each, model in deployment.models.items() if each != name}
        return deployment.model_copy(update={"models": models})
    return _with_model(deployment, name, model.model_copy(update={"versions": versions}))


def _with_model(deployment: Deployment, name: str, model: ModelDeployment) -> Deployment:
    return deployment.model_copy(update={"models": {**deployment.models, name: model}})
