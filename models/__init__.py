"""PyTorch only: what a checkpoint is, and how it becomes a module.

The names below are imported when one of them is first used: the supervisor and the command import
this package for its errors alone and must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statehouse.models.architecture import (
        Architecture,
        ArchitectureConfig,
        build_model,
        get_architecture,
        list_architectures,
        register_architecture,
        validate_config,
    )
    from statehouse.models.architecture_import import import_architectures
    from statehouse.models.building import non_finite_parameters
    from statehouse.models.checkpoint import (
        Checkpoint,
        CheckpointHeader,
        describe_as,
        load_checkpoint,
        read_checkpoint_header,
        save_checkpoint,
        verify_records,
    )
    from statehouse.models.example import Example
    from statehouse.models.tasks.kinds import (
        InputKind,
        OutputKind,
        register_input_kind,
        register_output_kind,
    )
    from statehouse.models.tasks.preparation import features_from_sklearn, image_from_torchvision
    from statehouse.models.tasks.registry import (
        CategoricalFeature,
        ImageClassificationTask,
        NumericFeature,
        SignatureTask,
        TabularTask,
        Task,
        TensorTask,
        parse_task,
        task_names,
    )
    from statehouse.models.tasks.text import EmbeddingTask, TextClassificationTask, TokenClassificationTask
    from statehouse.models.tasks.vision import ImageSegmentationTask, ObjectDetectionTask
    from statehouse.models.tensors.state_dict import StateDictReport, strip_prefixes
    from statehouse.models.tensors.tensor_info import TensorInfo
    from statehouse.models.training.batch_order import BatchOrder
    from statehouse.models.training.keeper import CheckpointKeeper
    from statehouse.models.training.pretrained import load_pretrained
    from statehouse.models.training.pretrained_report import PretrainedReport
    from statehouse.models.training.resume import resume_training
    from statehouse.models.training_state import TrainingState
    from statehouse.models.weights_reading import read_state_dict

__all__ = [
    "Architecture",
    "ArchitectureConfig",
    "BatchOrder",
    "CategoricalFeature",
    "Checkpoint",
    "CheckpointHeader",
    "CheckpointKeeper",
    "EmbeddingTask",
    "Example",
    "ImageClassificationTask",
    "ImageSegmentationTask",
    "InputKind",
    "NumericFeature",
    "ObjectDetectionTask",
    "OutputKind",
    "PretrainedReport",
    "SignatureTask",
    "StateDictReport",
    "TabularTask",
    "Task",
    "TensorInfo",
    "TensorTask",
    "TextClassificationTask",
    "TokenClassificationTask",
    "TrainingState",
    "build_model",
    "describe_as",
    "features_from_sklearn",
    "get_architecture",
    "image_from_torchvision",
    "import_architectures",
    "list_architectures",
    "load_checkpoint",
    "load_pretrained",
    "non_finite_parameters",
    "parse_task",
    "read_checkpoint_header",
    "read_state_dict",
    "register_architecture",
    "register_input_kind",
    "register_output_kind",
    "resume_training",
    "save_checkpoint",
    "strip_prefixes",
    "task_names",
    "validate_config",
    "verify_records",
]

_HOMES = (
    "architecture",
    "architecture_import",
    "training.batch_order",
    "building",
    "checkpoint",
    "example",
    "training.keeper",
    "training.pretrained",
    "training.pretrained_report",
    "training.resume",
    "tensors.state_dict",
    "tasks.kinds",
    "tasks.preparation",
    "tasks.registry",
    "tensors.tensor_info",
    "tasks.text",
    "training_state",
    "tasks.vision",
    "weights_reading",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"statehouse.models.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'statehouse.models' has no attribute {name!r}")
