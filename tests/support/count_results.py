#!/usr/bin/env python3
"""Prints "N passed, N failed[, N skipped]" for `meson test` runs, given by the JSON log of each; before it, what failed.

Counts single GoogleTest cases. A program that crashed or ran out of time left no cases behind: it counts as one failure.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count(log):
    log = pathlib.Path(log)
    if not log.exists():
        print(f"{log}: there is none, so it did not build, and no test was run")
        return 0, 1, 0
    passed = failed = skipped = 0
    for case in ElementTree.parse(log.with_suffix(".junit.xml")).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"failed: {case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
        else:
            passed += 1

    programs = [json.loads(line) for line in log.read_text().splitlines()]
    bad = [program for program in programs if program["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")]
    for program in bad:
        print(f"failed: {program['name']}, {program['result']}, see {log.with_suffix('.txt')}")
    # Meson's JUnit file tells these as passed.
    late = sum(program["result"] in ("TIMEOUT", "INTERRUPT") for program in bad)
    failed = max(failed + late, len(bad))
    return passed - late, failed, skipped


passed, failed, skipped = (sum(numbers) for numbers in zip(*map(count, sys.argv[1:])))
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(0 if failed == 0 and passed > 0 else 1)
