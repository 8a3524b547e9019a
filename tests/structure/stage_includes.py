"""Data goes one way: a stage's folder includes base/, its own files and the SDK; only pipeline/ knows all stages.

Usage: stage_includes.py CORE_FOLDER
"""
import pathlib
import re
import sys

STAGES = ["source", "batch", "template", "sink", "ledger", "offset"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_]+)/', re.MULTILINE)

core = pathlib.Path(sys.argv[1])
faults = []
checked = 0
for folder in ["base", *STAGES]:
    files = [f for f in sorted((core / folder).iterdir()) if f.suffix in (".cpp", ".hpp")]
    assert files, f"{core / folder} has no source: is the list of stages out of date?"
    for file in files:
        checked += 1
        for included in INCLUDE.findall(file.read_text(encoding="utf-8")):
            if included not in {"base", folder}:
                faults.append(f"{file}: a file of {folder}/ includes {included}/")
        if "boost/dll" in file.read_text(encoding="utf-8") and file.name != "shared_object.cpp":
            faults.append(f"{file}: only sink/shared_object.cpp may include Boost.DLL")

print(f"{checked} files checked")
for fault in faults:
    print(fault)
sys.exit(1 if faults else 0)
