"""What is told of architectures whose tensors are equal."""

from __future__ import annotations

from torch import nn

from statehouse.models.libraries.index.differences import MOST, differences
from statehouse.models.libraries.index.facts import facts_of


class Same(nn.Conv2d):
    pass


class Blur(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", nn.Parameter().data, persistent=False)


def told(preprocessing=None, **modules):
    facts = {name.replace("_", ":"): facts_of(module) for name, module in modules.items()}
    return [str(each) for each in differences(facts, preprocessing or {})]


def net(*more, eps=1e-5, conv=nn.Conv2d, padding=0):
    return nn.Sequential(conv(3, 4, 3, padding=padding), nn.BatchNorm2d(4, eps=eps), *more)


def test_nothing_differs_where_only_training_does():
    assert told(timm_a=net(nn.Dropout(0.5), nn.Identity()), timm_b=net()) == []


def test_settings_of_layers_with_tensors():
    assert told(timm_a=net(), timm_b=net(eps=1e-3, padding=1)) == [
        "padding of 0: 0 in timm:a; 1 in timm:b",
        "eps of 1: 1e-05 in timm:a; 0.001 in timm:b",
    ]


def test_classes_within_a_library():
    assert told(timm_a=net(), timm_b=net(conv=Same)) == ["class of 0: Conv2d in timm:a; Same in timm:b"]
    assert told(torchvision_a=net(), timm_b=net(conv=Same)) == []


def test_layers_that_some_do_not_have():
    assert told(timm_a=net(), timm_b=net(Blur(), Blur())) == ["Blur: none in timm:a; 2 in timm:b"]


def test_settings_of_layers_without_tensors():
    assert told(timm_a=net(nn.MaxPool2d(3)), timm_b=net(nn.MaxPool2d(3, ceil_mode=True))) == [
        "layers with ceil_mode False of MaxPool2d: 1 in timm:a; none in timm:b",
        "layers with ceil_mode True of MaxPool2d: none in timm:a; 1 in timm:b",
    ]


def test_preprocessing_where_both_say_it():
    said = {"timm:a": {"mean": "0.5", "std": "0.5"}, "timm:b": {"mean": "0"}}
    assert told(said, timm_a=net(), timm_b=net()) == [
        "mean of the library's own weights: 0.5 in timm:a; 0 in timm:b"
    ]


def test_long_lists_of_names_are_counted_and_differences_bounded():
    norms = {
        f"timm_{n}": nn.Sequential(*(nn.BatchNorm2d(4, eps=k + (n == 5)) for k in range(20)))
        for n in range(6)
    }
    lines = told(**norms)
    assert len(lines) == MOST
    assert "timm:0, timm:1, timm:2, timm:3 and 1 more" in lines[0]
