"""Writes a man page from a page of docs/: man.py OUTPUT NAME SECTION DESCRIPTION VERSION PAGE.md [SINKS]

SINKS, the file packaging/sinks, tells which pages of docs/ have a man page, and adds them to tide-relay-plugins(7).
"""
import os
import re
import sys

output, name, section, description, version, page = sys.argv[1:7]
docs = os.path.dirname(page)
PAGES = {"command-line.md": "tide-relay(1)", "configuration.md": "tide-relay.toml(5)", "plugin-guide.md": "tide-relay-plugins(7)"}


def sinks(table):
    """Of each sink that is in the tree: its man page's name, its page in docs/, what it sends to."""
    for line in open(table, encoding="utf-8"):
        if line.startswith("#"):
            continue
        folder, document, _, what = (part.strip() for part in line.split("|"))
        if os.path.isdir(os.path.join(docs, "..", "plugins", folder)):
            yield "tide-relay-" + folder.replace("_", "-"), document + ".md", what


table = list(sinks(sys.argv[7]))
PAGES.update({document: f"{man}(7)" for man, document, _ in table})


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")


def inline(text):
    """Code, bold, emphasis and links. A link to a page that is not a man page becomes its text."""
    out = []
    for code, plain in re.findall(r"`([^`]+)`|([^`]+)", text):
        if code:
            out.append("\\fB" + escape(code) + "\\fR")
            continue

        def link(match):
            man = PAGES.get(match[2].split("#")[0])
            return match[1] + (f" (\x01{man}\x02)" if man and not man.startswith(name + "(") else "")

        plain = re.sub(r"\[([^]]*)\]\(([^)]*)\)", link, plain)
        plain = re.sub(r"\*\*([^*]+)\*\*", "\x01\\1\x02", plain)
        plain = re.sub(r"(?<!\w)\*([^*]+)\*(?!\w)", "\x03\\1\x02", plain)
        plain = re.sub(r"<!--.*?-->", "", plain)
        out.append(escape(plain).replace("\x01", "\\fB").replace("\x02", "\\fR").replace("\x03", "\\fI"))
    return "".join(out)


def line_of(text):
    """As a line of its own, which must not look like a request."""
    text = text.strip()
    return "\\&" + text if text[:1] in (".", "\\(aq") or text.startswith("\\(aq") else text


def cells(row):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def convert(text):
    lines = text.split("\n")
    out = []
    paragraph = []
    in_list = False

    def flush():
        if paragraph:
            if not in_list:
                out.append(".PP")
            out.append(line_of(inline(" ".join(paragraph))))
            paragraph.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"```", line)
        indented = line.startswith("    ") and not paragraph and not in_list
        if fence or indented:
            flush()
            in_list = False
            block = []
            if fence:
                at += 1
                while not lines[at].startswith("```"):
                    block.append(lines[at])
                    at += 1
                at += 1
            else:
                while at < len(lines) and (lines[at].startswith("    ") or (not lines[at] and at + 1 < len(lines)
                                                                            and lines[at + 1].startswith("    "))):
                    block.append(lines[at][4:])
                    at += 1
            out += [".PP", ".RS 4", ".EX"] + [line_of_code(code) for code in block] + [".EE", ".RE"]
            continue
        at += 1
        heading = re.match(r"(#+) (.*)", line)
        item = re.match(r"\s*(- |\d+\. )(.*)", line)
        if heading:
            flush()
            in_list = False
            if len(heading[1]) == 1:
                continue
            out.append((".SH " if len(heading[1]) == 2 else ".SS ") +
                       '"' + inline(heading[2].upper() if len(heading[1]) == 2 else heading[2]).replace('"', "\\(dq") + '"')
        elif line.startswith("|"):
            flush()
            in_list = False
            head = cells(line)
            at += 1  # the line of dashes
            while at < len(lines) and lines[at].startswith("|"):
                row = cells(lines[at])
                rest = []
                for title, cell in zip(head[1:], row[1:]):
                    if cell and cell != "—":
                        last = title == head[-1] or not title
                        rest.append(inline(cell) if last else f"{inline(title.lower())}: {inline(cell)}")
                out.extend([".TP", line_of(inline(row[0])) if "`" in row[0] else "\\fB" + inline(row[0]) + "\\fR",
                            line_of(". ".join(rest)) or "\\&"])
                at += 1
        elif item and (not paragraph or in_list):
            flush()
            in_list = True
            out.append(".IP \\(bu 2" if item[1] == "- " else f".IP {item[1].strip()} 3")
            paragraph.append(item[2])
        elif not line.strip():
            flush()
            if at < len(lines) and not re.match(r"\s*(- |\d+\. )|  ", lines[at]):
                in_list = False
        elif not line.startswith("<!--"):
            paragraph.append(line.strip())
    flush()
    return out


def line_of_code(code):
    code = escape(code)
    return "\\&" + code if code[:1] == "." or code.startswith("\\(aq") else code


def see_also():
    others = ["tide-relay(1)", "tide-relay.toml(5)", "tide-relay-plugins(7)"] + [f"{man}(7)" for man, _, _ in table]
    return ", ".join("\\fB" + escape(other[:-3]) + "\\fR" + other[-3:] for other in others
                     if other != f"{name}({section})")


text = open(page, encoding="utf-8").read()
lines = [f'.TH "{escape(name.upper())}" "{section}" "" "Tide Relay {version}" "Tide Relay"',
         ".SH NAME", f"{escape(name)} \\- {escape(description)}", ".SH DESCRIPTION"]
lines += convert(text)
if name == "tide-relay-plugins":
    lines += [".SH PLUGINS"]
    for man, _, what in table:
        lines += [".TP", f"\\fB{escape(man)}\\fR(7)", escape(what)]
lines += [".SH SEE ALSO", see_also()]
with open(output, "w", encoding="utf-8") as out:
    out.write("\n".join(lines) + "\n")
