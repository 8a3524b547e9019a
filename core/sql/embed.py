"""Writes SQL files into a C++ source as string literals: embed.py OUTPUT RELEASE FUNCTIONS.sql STEP.sql..."""
import sys

output, release, functions, *steps = sys.argv[1:]


def literal(path):
    # Compilers limit one literal's length, not that of adjacent ones together.
    text = open(path, encoding="utf-8").read()
    parts = [text[i:i + 8000] for i in range(0, len(text), 8000)]
    return "\n".join(f'R"__sql__({part})__sql__"' for part in parts)


with open(output, "w", encoding="utf-8") as out:
    out.write('#include "schema/schema.hpp"\n\nnamespace tide {\n\n'
              "const SchemaSource& schema_source() {\n  static const SchemaSource source{{\n")
    for step in steps:
        out.write(literal(step) + ",\n")
    out.write("},\n" + literal(functions) + f',\n"{release}"' + "};\n  return source;\n}\n\n}  // namespace tide\n")
