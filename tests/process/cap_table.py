"""What was seen in a partition, as the markdown of docs/consistency.md.

The section between the markers belongs to cap_test.py: it writes it (--write) and otherwise checks it. Nothing in it
depends on timing.
"""

import pathlib

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs/consistency.md"
BEGIN = "<!-- cap-table:begin -->"
END = "<!-- cap-table:end -->"
HEADING = "# Consistency, seen\n\n"


def write_cell(answer):
    if answer.status == 200:
        return f"200, {answer.json['acks']['needed']} needed"
    return refusal(answer)


def read_cell(answer, acknowledged):
    """acknowledged: values whose writes were answered with 200 and that nothing acknowledged has overwritten."""
    if answer.status not in (200, 300, 404):
        return refusal(answer)
    missing = sorted(set(acknowledged) - set(answer.values))
    text = f"{answer.status}: " + (", ".join(answer.values) or "nothing")
    return text + (f" - **stale**, lacks {', '.join(missing)}" if missing else "")


def refusal(answer):
    error = answer.error
    if error["code"] == "unavailable":
        return f"{answer.status} unavailable: {error['needed']} needed, {error['reachable']} reachable"
    if error["code"] == "timeout":
        outcome = "; outcome unknown" if error.get("outcome") == "unknown" else ""
        return f"{answer.status} timeout: {error['needed']} needed, {error['received']} received{outcome}"
    return f"{answer.status} {error['code']}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def section_in_file():
    if not FILE.exists():
        return None
    text = FILE.read_text()
    if BEGIN not in text or END not in text:
        return None
    return text.split(BEGIN, 1)[1].split(END, 1)[0].strip("\n")


def write_section(section):
    block = f"{BEGIN}\n{section}\n{END}"
    text = FILE.read_text() if FILE.exists() else HEADING
    if BEGIN in text and END in text:
        text = text.split(BEGIN, 1)[0] + block + text.split(END, 1)[1]
    else:
        text = text.rstrip("\n") + "\n\n" + block + "\n"
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text)
