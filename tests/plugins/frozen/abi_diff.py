"""Compares the interface's types, by abidiff, with what was recorded for this ABI minor.

Usage: abi_diff.py LIBRARY RECORD
"""
import subprocess
import sys

library, record = sys.argv[1:]
result = subprocess.run(["abidiff", record, library], capture_output=True, text=True)
print(result.stdout + result.stderr)
if result.returncode != 0:
    print("tide/sink.h is not what it was. Fields may be appended, and nothing else (see docs/abi.md). Then raise\n"
          "TIDE_SINK_ABI_MINOR, name the record after it, and write it anew:\n"
          f"  abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file {record} {library}")
sys.exit(1 if result.returncode != 0 else 0)
