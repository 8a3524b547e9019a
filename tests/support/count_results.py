#!/usr/bin/env python3
"""Prints "N passed, N failed[, N skipped]" for the last `meson test` run in a build folder.

Counts single GoogleTest cases. A program that crashed or ran out of time left no cases behind: it counts as one failure.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

logs = pathlib.Path(sys.argv[1]) / "meson-logs"
if not (logs / "testlog.json").exists():
    print("No test was run.\n0 passed, 0 failed")
    sys.exit(1)
passed = failed = skipped = 0
for case in ElementTree.parse(logs / "testlog.junit.xml").iter("testcase"):
    if case.find("failure") is not None or case.find("error") is not None:
        failed += 1
    elif case.find("skipped") is not None or case.get("status") == "notrun":
        skipped += 1
    else:
        passed += 1

results = [json.loads(line)["result"] for line in (logs / "testlog.json").read_text().splitlines()]
# Meson's JUnit file tells these as passed.
late = sum(result in ("TIMEOUT", "INTERRUPT") for result in results)
passed -= late
failed = max(failed + late, sum(result not in ("OK", "SKIP", "EXPECTEDFAIL") for result in results))
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(0 if failed == 0 and passed > 0 else 1)
