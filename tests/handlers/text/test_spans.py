"""Labelled tokens to labelled pieces of a text."""

import numpy as np
import pytest

from statehouse.handlers.text.spans import Span, join_tokens, read_tokens


def joined(*labels, ignored=("O",)):
    """The pieces that tokens of these labels make, one character each."""
    tokens = [Span(label, 0.5, place, place + 1) for place, label in enumerate(labels)]
    return [(piece.label, piece.start, piece.end) for piece in join_tokens(tokens, ignored)]


def test_tokens_that_are_no_part_of_the_text_are_left_out():
    tokens = np.array([[-1, 0.9, 0, 0], [1, 0.25, 0, 3], [0, 0.5, 4, 7], [-1, 0, 0, 0]], np.float32)
    assert read_tokens(tokens, ["O", "B-PER"]) == [Span("B-PER", 0.25, 0, 3), Span("O", 0.5, 4, 7)]
    assert read_tokens(np.zeros((0, 4)), ["O"]) == []


@pytest.mark.parametrize(
    ("labels", "pieces"),
    [
        (["B-PER", "I-PER", "I-PER"], [("PER", 0, 3)]),
        (["B-PER", "B-PER"], [("PER", 0, 1), ("PER", 1, 2)]),
        (["I-PER", "I-PER"], [("PER", 0, 2)]),
        (["B-PER", "I-ORG"], [("PER", 0, 1), ("ORG", 1, 2)]),
        (["B-PER", "O", "I-PER"], [("PER", 0, 1), ("PER", 2, 3)]),
        (["PER", "PER", "B-PER", "PER"], [("PER", 0, 2), ("PER", 2, 4)]),
        (["O", "O"], []),
        ([], []),
    ],
)
def test_neighbours_of_one_label_are_one_piece(labels, pieces):
    assert joined(*labels) == pieces


@pytest.mark.parametrize("label", ["X-PER", "B-", "-PER", "B"])
def test_other_dashes_are_part_of_the_label(label):
    assert joined(label, label) == [(label, 0, 2)]


def test_a_label_is_ignored_by_its_name_with_or_without_what_is_before_it():
    assert joined("B-PER", "I-PER", "B-ORG", ignored=["PER"]) == [("ORG", 2, 3)]
    assert joined("B-PER", "I-PER", ignored=["B-PER"]) == [("PER", 1, 2)]
    assert joined("O", "O", ignored=[]) == [("O", 0, 2)]


def test_the_score_is_the_mean_and_what_lies_between_belongs_to_the_piece():
    tokens = [Span("B-A", 0.5, 0, 3), Span("I-A", 1.0, 4, 7)]
    assert join_tokens(tokens, []) == [Span("A", 0.75, 0, 7)]
