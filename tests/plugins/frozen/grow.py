"""The header as a later minor could have it: a field appended to each struct that may grow.

Usage: grow.py SINK_H OUTPUT
"""
import pathlib
import re
import sys

FIXED = {"tide_str", "tide_header"}

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
text, count = re.subn(r"^\} (tide_\w+);$",
                      lambda end: end[0] if end[1] in FIXED else f"  uint64_t news[3];\n{end[0]}", text, flags=re.MULTILINE)
assert count == 12, f"{count} structs: is the list of those that never grow out of date?"
text = text.replace("#define TIDE_SINK_ABI_MINOR 0u", "#define TIDE_SINK_ABI_MINOR 99u")
pathlib.Path(sys.argv[2]).write_text(text, encoding="utf-8")
