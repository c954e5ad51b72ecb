"""Compares our greedy tokens with the reference and prints a table.

    python compare_smollm2.py OURS.json [REFERENCE.json]

OURS.json: {"prompts": [{"ids": [...], "output": [...]}]}; prompts are matched by their ids. The first difference of a
prompt is excused when ours is the runner-up of a near tie; nothing after it is comparable. Exit status 1 when a
difference is not excused, or a prompt is missing.
"""

import json
import sys
from pathlib import Path

TIE = 1e-3
END_TOKENS = {0, 2}


def first_difference(ours: list[int], theirs: list[int]) -> int | None:
    return next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)


def stopped_early(ours: list[int], theirs: list[int]) -> bool:
    """Shorter than the reference, and not because of an end token (reported or swallowed)."""
    if len(ours) >= len(theirs):
        return False
    return not ({theirs[len(ours)], *ours[-1:]} & END_TOKENS)


def judge(reference: dict, ours: list[int] | None) -> tuple[str, str, bool]:
    if ours is None:
        return "0", "missing", False
    theirs = reference["output"]
    at = first_difference(ours, theirs)
    if at is None:
        short = stopped_early(ours, theirs)
        return f"{min(len(ours), len(theirs))} of {len(theirs)}", "stopped early" if short else "equal", not short
    margin = reference["margins"][at]
    excused = margin <= TIE and ours[at] == reference["second"][at]
    what = f"ours {ours[at]}, reference {theirs[at]}, runner-up {reference['second'][at]}, margin {margin}"
    return f"{at} of {len(theirs)}", f"{'tie, stopped there' if excused else 'DIFFERENT'}: {what}", excused


def main(ours_path: str, reference_path: str = str(Path(__file__).with_name("smollm2-golden.json"))) -> int:
    ours = {tuple(p["ids"]): p["output"] for p in json.loads(Path(ours_path).read_text())["prompts"]}
    rows = json.loads(Path(reference_path).read_text())["prompts"]
    print("| prompt | prompt ids | equal tokens | first difference |\n|---|---:|---:|---|")
    good = 0
    for row in rows:
        equal, verdict, fine = judge(row, ours.get(tuple(row["ids"])))
        good += fine
        print(f"| {row['name']} | {len(row['ids'])} | {equal} | {verdict} |")
    print(f"\n{good} of {len(rows)} prompts agree (ties within {TIE} excused).")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
