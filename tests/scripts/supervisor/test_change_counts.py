"""How many changes there were."""

from statehouse.scripts.supervisor.change_counts import OUTCOMES, ChangeCounts


def test_what_could_come_of_each_name_is_told_from_zero():
    counts = ChangeCounts().counts(["net"], ["swap"], OUTCOMES)
    assert counts == {("net", "swap", outcome): 0 for outcome in OUTCOMES}


def test_changes_are_told_apart_by_model_kind_and_outcome():
    counts = ChangeCounts()
    for change in (
        ("net", "swap", "done"),
        ("net", "swap", "done"),
        ("net", "swap", "failed"),
        ("", "apply", "done"),
    ):
        counts.add(*change)
    assert counts.counts(["net"], ["swap"], ["done"]) == {
        ("net", "swap", "done"): 2,
        ("net", "swap", "failed"): 1,
        ("", "apply", "done"): 1,
    }


def test_what_became_of_an_interrupted_one_is_no_outcome_of_its_own():
    counts = ChangeCounts()
    counts.add("net", "swap", "interrupted, undone")
    counts.add("net", "swap", "interrupted, done")
    assert counts.counts([], [], []) == {("net", "swap", "interrupted"): 2}
