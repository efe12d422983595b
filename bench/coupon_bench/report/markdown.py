"""The report as Markdown."""

from . import tables


def render(results):
    parts = ["# coupon_guard, measured", "\n".join(f"- {line}" for line in tables.conditions(results))]
    for table in tables.all_tables(results):
        parts.append(f"## {table.title}")
        if table.note:
            parts.append(table.note)
        parts.append("\n".join([_row(table.head), _row(["---"] * len(table.head))] + [_row(row) for row in table.rows]))
    return "\n\n".join(parts) + "\n"


def _row(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
