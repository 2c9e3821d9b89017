"""The bag of tokens: padding has no part in it, and neither has the order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models import build_model
from statehouse.models.errors import ArchitectureConfigError

CONFIG = {"vocabulary_size": 10, "embedding_size": 3, "output_size": 2}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_model("text_bag", CONFIG).eval()


def test_token_ids_to_outputs(net):
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert net(input_ids=ids, attention_mask=torch.ones_like(ids)).shape == (2, 2)


def test_it_is_the_mean_and_the_largest_of_each_component(net):
    ids = torch.tensor([[1, 2, 9]])
    vectors = net.embedding(torch.tensor([1, 2]))
    expected = net.layers(torch.cat([vectors.mean(dim=0), vectors.amax(dim=0)]).unsqueeze(0))
    assert torch.allclose(net(ids, torch.tensor([[1, 1, 0]])), expected)


def test_padding_and_order_change_nothing(net):
    short = net(torch.tensor([[1, 2]]), torch.tensor([[1, 1]]))
    assert torch.allclose(net(torch.tensor([[2, 1, 7, 7]]), torch.tensor([[1, 1, 0, 0]])), short)


def test_a_hidden_layer_only_where_it_has_a_size(net):
    assert [type(layer) for layer in net.layers] == [nn.Dropout, nn.Linear]
    deep = build_model("text_bag", CONFIG | {"hidden_size": 4})
    assert [type(layer) for layer in deep.layers] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert (deep.layers[0].in_features, deep.layers[-1].in_features) == (6, 4)


def test_a_tokenizer_is_held_against_its_embedding(net):
    assert net.get_input_embeddings().num_embeddings == 10


@pytest.mark.parametrize("wrong", [{"vocabulary_size": 0}, {"hidden_size": -1}, {"dropout": 1.0}])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ArchitectureConfigError, match=next(iter(wrong))):
        build_model("text_bag", CONFIG | wrong)
