"""Scalers and transforms as data: the numbers are the library's own on real rows and photographs."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from statehouse.handlers.features.table import FeatureTable
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.image_input import NamedImage
from statehouse.models.errors import PreparationError
from statehouse.models.libraries.torchvision import torchvision
from statehouse.models.tasks.input_kinds import FeaturesInput, ImageInput
from statehouse.models.tasks.preparation import features_from_sklearn, image_from_torchvision

transforms, v2 = torchvision.transforms, importlib.import_module("torchvision.transforms.v2")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def rows() -> tuple[np.ndarray, list[str]]:
    data = load_breast_cancer()
    return data.data, [str(name) for name in data.feature_names]


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler(),
        MinMaxScaler(feature_range=(-3, 5)),
    ],
    ids=str,
)
def test_scaled_numbers_are_the_librarys(scaler: Any) -> None:
    values, names = rows()
    scaler.fit(values[:400])
    table = FeatureTable(FeaturesInput(features=features_from_sklearn(scaler, names)))
    read = np.stack([table.read(dict(zip(names, row, strict=True))) for row in values.tolist()])
    assert np.allclose(table.standardise(read), scaler.transform(values), rtol=1e-9, atol=1e-9)


def test_a_column_that_never_changes_is_scaled_as_the_library_does() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0]])
    for scaler in (StandardScaler().fit(values), MinMaxScaler().fit(values)):
        table = FeatureTable(FeaturesInput(features=features_from_sklearn(scaler, ["a", "b"])))
        read = np.stack([table.read({"a": row[0], "b": row[1]}) for row in values.tolist()])
        assert np.allclose(table.standardise(read), scaler.transform(values))


def test_categories_are_one_hot_in_the_librarys_order() -> None:
    values = np.array([["red", "s"], ["green", "l"], ["blue", "m"]], dtype=object)
    encoder = OneHotEncoder().fit(values)
    table = FeatureTable(FeaturesInput(features=features_from_sklearn(encoder, ["colour", "size"])))
    read = np.stack([table.read({"colour": row[0], "size": row[1]}) for row in values])
    assert np.array_equal(read, encoder.transform(values).toarray())


@pytest.mark.parametrize(
    ("transformer", "told"),
    [
        (StandardScaler(), "not fitted"),
        (PCA().fit(np.eye(2)), "expected one of scikit-learn's"),
        (StandardScaler().fit(np.eye(3)), "fitted on 3, and 2 names"),
        (MinMaxScaler(clip=True).fit(np.eye(2)), "clip=True"),
        (OneHotEncoder(drop="first").fit([["a", "b"], ["c", "d"]]), "drop=None"),
        (OneHotEncoder(handle_unknown="ignore").fit([["a", "b"]]), "refuses them"),
        (OneHotEncoder().fit([[1, 2]]), "is no text"),
        (OneHotEncoder(max_categories=2).fit([["a", "b"]]), "rare categories"),
        ("scaler", "str cannot be said"),
    ],
    ids=str,
)
def test_what_no_feature_says_is_told(transformer: Any, told: str) -> None:
    with pytest.raises(PreparationError, match=told):
        features_from_sklearn(transformer, ["a", "b"])


def photographs() -> list[Image.Image]:
    """As large and as small as they come, with edges and noise."""
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).resize(
            (width * 2, height * 2)
        )
        for height, width in ((300, 200), (120, 333), (33, 31))
    ]


@pytest.mark.parametrize(
    "composed",
    [
        transforms.Compose([transforms.Resize(72), transforms.CenterCrop(64), transforms.ToTensor(),
                            transforms.Normalize(MEAN, STD)]),
        transforms.Compose([transforms.Resize((48, 64)), transforms.ToTensor()]),
        transforms.Compose([transforms.Grayscale(), transforms.Resize((28, 28)), transforms.ToTensor()]),
        transforms.Compose([transforms.Resize((28, 28), interpolation=transforms.InterpolationMode.BICUBIC),
                            transforms.PILToTensor(), transforms.ConvertImageDtype(torch.float32)]),
        v2.Compose([v2.Resize(72), v2.CenterCrop((64, 64)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),
                    v2.Normalize(MEAN, STD)]),
        torchvision.models.ResNet18_Weights.DEFAULT.transforms(),
        torchvision.models.EfficientNet_B0_Weights.DEFAULT.transforms(),
    ],
    ids=["usual", "straight", "grey", "bicubic", "v2", "resnet18", "efficientnet_b0"],
)  # fmt: skip
def test_images_are_prepared_as_by_the_library(composed: Any) -> None:
    kind = NamedImage("x", ImageInput(**image_from_torchvision(composed)))
    for image in photographs():
        file = io.BytesIO()
        image.save(file, "PNG")
        pixels = torch.from_numpy(
            np.stack([kind.from_bytes(file.getvalue(), "image/png", PixelBudget())["x"]])
        )
        assert torch.allclose(kind.prepare({"x": pixels})["x"][0], composed(image), atol=1e-6)


@pytest.mark.parametrize(
    ("composed", "told"),
    [
        (transforms.Compose([transforms.ToTensor()]), "of any size"),
        (transforms.Compose([transforms.Resize((8, 8))]), "from 0 to 255"),
        (transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()]), "Resize before it"),
        (transforms.Compose([transforms.Resize((8, 8)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]),
         "RandomHorizontalFlip"),
        (transforms.Compose([transforms.ToTensor(), transforms.Resize((8, 8))]), "Resize"),
        (transforms.Compose([transforms.Resize(8, max_size=9), transforms.CenterCrop(8), transforms.ToTensor()]),
         "max_size"),
        (transforms.Compose([transforms.Resize((8, 8), interpolation=transforms.InterpolationMode.NEAREST),
                             transforms.ToTensor()]), "nearest"),
        (transforms.Compose([transforms.Resize((9, 9)), transforms.CenterCrop(8), transforms.ToTensor()]),
         "then a crop"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_field_says_is_told(composed: Any, told: str) -> None:
    with pytest.raises(PreparationError, match=told):
        image_from_torchvision(composed)
