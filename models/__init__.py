"""PyTorch only: what a checkpoint is, and how it becomes a module.

The names below are imported when one of them is first used: the supervisor and the command import
this package for its errors alone and must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.architecture import (
        Architecture,
        ArchitectureConfig,
        build_model,
        get_architecture,
        list_architectures,
        register_architecture,
        validate_config,
    )
    from models.architecture_import import import_architectures
    from models.batch_order import BatchOrder
    from models.building import non_finite_parameters
    from models.checkpoint import (
        Checkpoint,
        CheckpointHeader,
        describe_as,
        load_checkpoint,
        read_checkpoint_header,
        save_checkpoint,
        verify_records,
    )
    from models.example import Example
    from models.keeper import CheckpointKeeper
    from models.pretrained import load_pretrained
    from models.pretrained_report import PretrainedReport
    from models.resume import resume_training
    from models.state_dict import StateDictReport, strip_prefixes
    from models.task import (
        CategoricalFeature,
        ImageClassificationTask,
        NumericFeature,
        TabularTask,
        Task,
        TensorTask,
        parse_task,
        task_names,
    )
    from models.tensor_info import TensorInfo
    from models.text_task import EmbeddingTask, TextClassificationTask, TokenClassificationTask
    from models.training import TrainingState
    from models.vision_task import ImageSegmentationTask, ObjectDetectionTask

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
    "NumericFeature",
    "ObjectDetectionTask",
    "PretrainedReport",
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
    "get_architecture",
    "import_architectures",
    "list_architectures",
    "load_checkpoint",
    "load_pretrained",
    "non_finite_parameters",
    "parse_task",
    "read_checkpoint_header",
    "register_architecture",
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
    "batch_order",
    "building",
    "checkpoint",
    "example",
    "keeper",
    "pretrained",
    "pretrained_report",
    "resume",
    "state_dict",
    "task",
    "tensor_info",
    "text_task",
    "training",
    "vision_task",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"models.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")
