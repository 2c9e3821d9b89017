"""Breaks each promise of README in a copy of the checkout, by one small patch, and sees its test fail.

A mutant whose test passes all the same survives: nobody guards that promise. A test that does not pass without the
mutant says nothing, and one whose server does not even start with it neither: both are broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from tests.mutants.checkout import copied_checkout
from tests.mutants.patch import AnchorError, Mutant, read_mutants
from tests.mutants.verdict import Outcome, Verdict, run_test
from tests.promises import promises

EXAMPLE = "example: python -m tests.mutants --only wall-clock --only no-hold"
KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"


@dataclass(frozen=True)
class Result:
    mutant: Mutant
    judgement: str
    seconds: float
    said: str


def node_of(mutant: Mutant) -> str:
    case = f"[{mutant.case}]" if mutant.case else ""
    return promises()[mutant.promise] + case


def control(node: str) -> Verdict:
    with copied_checkout() as copy:
        return run_test(copy, node)


def judge(mutant: Mutant, before: Verdict | None) -> Result:
    """See what the promise's test says of a mutant; ``before`` is what it says without."""
    if before is not None and before.outcome != Outcome.PASSED:
        told = f"without the mutant: {before.outcome}: {before.said}"
        return Result(mutant, BROKEN, before.seconds, told)
    with copied_checkout() as copy:
        try:
            mutant.apply(copy)
        except AnchorError as error:
            return Result(mutant, BROKEN, 0, str(error))
        verdict = run_test(copy, node_of(mutant))
    return Result(mutant, judgement_of(verdict), verdict.seconds, verdict.said)


def judgement_of(verdict: Verdict) -> str:
    return {Outcome.PASSED: SURVIVED, Outcome.FAILED: KILLED, Outcome.BROKEN: BROKEN}[verdict.outcome]


def show(result: Result) -> None:
    said = result.said if len(result.said) < 160 else f"{result.said[:159]}…"
    print(f"{result.judgement:9}{result.seconds:6.0f} s  {result.mutant.name:34} {said}", flush=True)


def summary(results: Sequence[Result]) -> int:
    """Print how many there were of each kind, and those that are not killed; return the exit code."""
    counts = [
        f"{sum(each.judgement == kind for each in results)} {kind}" for kind in (KILLED, SURVIVED, BROKEN)
    ]
    print(f"\n{len(results)} mutants: {', '.join(counts)}")
    left = [each for each in results if each.judgement != KILLED]
    for each in left:
        told = (each.mutant.promise, node_of(each.mutant), each.said)
        print("\n  ".join([f"\n{each.judgement}: {each.mutant.name}", *told]))
    return 1 if left else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--only", action="append", metavar="NAME", help="one mutant; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the mutants, and run nothing")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time (2)")
    parser.add_argument(
        "--no-control", action="store_true", help="do not see first that each test passes without"
    )
    chosen = parser.parse_args()
    mutants = [each for each in read_mutants() if not chosen.only or each.name in chosen.only]
    if unknown := sorted(set(chosen.only or ()) - {each.name for each in mutants}):
        parser.error(f"there is no mutant {', '.join(unknown)}; --list prints those that there are")
    if chosen.list:
        for each in mutants:
            print(f"{each.name:34} {each.promise}\n{'':34} {each.file}: {each.within or 'everywhere'}")
        return 0
    nodes = [] if chosen.no_control else list(dict.fromkeys(map(node_of, mutants)))
    controls: dict[str, Verdict] = {}
    results = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for node, verdict in zip(nodes, pool.map(control, nodes), strict=True):
            controls[node] = verdict
            print(f"{verdict.outcome:9}{verdict.seconds:6.0f} s  without a mutant: {node}", flush=True)
        judging = [pool.submit(judge, each, controls.get(node_of(each))) for each in mutants]
        for result in (done.result() for done in as_completed(judging)):
            show(result)
            results.append(result)
    return summary(results)


if __name__ == "__main__":
    sys.exit(main())
