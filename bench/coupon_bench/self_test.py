"""Whether the reports are complete: every case measured, every plot drawn, nothing fetched. No time is judged."""

import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import zlib

from . import merge, rounds, shards, skewed
from .catalogue import GROUPS, STUDIES


def check(results, files):
    """Prints one line for each promise, in TAP; returns the exit status."""
    page = files["html"].read_text(encoding="utf-8")
    promises = [*_cases(results), *_studies(results), ("the JSON file is what was measured", _json_is(results, files["json"])),
                ("every target has a row", len(results["targets"]) >= 25),
                ("parts measured one by one make the same report", _parts_merge(results)),
                ("parts of two commits do not", _commits_are_kept_apart(results)), *_page(page, results),
                ("the Markdown has every table", _markdown_has_tables(files["md"], page))]
    browser = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
    if browser:
        promises.append(("a browser draws the page", _browser_draws(browser, files["html"])))
    for number, (promise, kept) in enumerate(promises, 1):
        print(f"{'ok' if kept else 'not ok'} {number} - {promise}")
    if not browser:
        print("# no Chromium: the page was not looked at in a browser")
    print(f"1..{len(promises)}")
    return 0 if all(kept for _, kept in promises) else 1


def _cases(results):
    for group in GROUPS:
        measured = {case["name"]: case for case in results["groups"][group.name]["cases"]}
        for case in group.cases:
            if rounds.missing(case):
                continue
            runs = measured[case.name]["clients"].values() if case.name in measured else []
            yield (f"{case.name} ran, and the ledger has what was acknowledged",
                   bool(runs) and all(run["per_second"]["median"] > 0 and run["ledger_is_right"] for run in runs))


def _studies(results):
    asking = {case.name for group in GROUPS for case in group.cases if case.asking}
    yield ("every caller's wait was measured", all(run["latency_ms"]["samples"] > 0 and run["latency_ms"]["p99"] > 0
                                                   for group in results["groups"].values() for case in group["cases"]
                                                   if case["name"] in asking for run in case["clients"].values()))
    for study in STUDIES:
        yield f"{study} was measured", bool(results.get(study))
    yield ("each addition to the ledger was measured, and the ledger has what was acknowledged",
           all(case["per_second"]["median"] > 0 and case["ledger_is_right"]
               for addition in results["cliff"]["additions"] for case in addition["cases"].values()))
    yield "each of the last codes has a user of its own", results["last_codes"]["is_right"]
    if not shards.missing(skewed.ROUTE):
        yield ("a skewed drop sells each unit, and nobody is refused before",
               len(results["skewed"]["ways"]) == 4 and all(way["is_right"] for way in results["skewed"]["ways"]))
    multiuse = results["multiuse"]
    yield (f"a code for {multiuse['cap']} uses has at most four rows of quota while nobody competes for it",
           multiuse["redeemed"] == multiuse["codes"] and multiuse["used"]["rows"] <= 4 * multiuse["codes"])
    for case in results["wal"]:
        if case["name"].startswith("refuse_"):
            yield f"{case['name']} writes no WAL of its own", case["records"] < 0.1


def _json_is(results, path):
    return json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(results))


def _parts_merge(results):
    parts = [{key: value for key, value in results.items() if key not in STUDIES},
             {**results, "groups": {}}]
    merged = merge.merge(parts)
    return len(merged["parts"]) == 2 and all(merged[key] == results[key] for key in ("groups", "targets", *STUDIES))


def _commits_are_kept_apart(results):
    try:
        merge.merge([{**results, "commit": "one"}, {**results, "commit": "another"}])
    except merge.MergeError:
        return True
    return False


def _page(page, results):
    class Parser(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.plots, self.tables, self.outside, self.ids, self.labels = 0, 0, [], [], set()
            self.in_label = False

        def handle_starttag(self, tag, attributes):
            self.in_label = tag in ("text", "tspan")
            self.plots += tag == "svg"
            self.tables += tag == "table"
            self.ids += [value for name, value in attributes if name == "id"]
            self.outside += [value for name, value in attributes
                             if name in ("src", "href", "xlink:href") and not value.startswith("#")]

        def handle_data(self, data):
            if self.in_label:
                self.labels.add(data.strip())

    parser = Parser()
    parser.feed(page)
    wanted = 2 * len(results["groups"]) + 4
    yield f"the page has its {wanted} plots", parser.plots == wanted
    titles = {case["title"] for group in results["groups"].values() for case in group["cases"]}
    yield "every case is in a plot", titles <= parser.labels
    yield "the page loads nothing", not parser.outside and "@import" not in page and not re.search(r"url\((?!#)", page)
    yield "no script", "<script" not in page
    yield "ids are unique", len(parser.ids) == len(set(parser.ids))


def _markdown_has_tables(path, page):
    return path.read_text(encoding="utf-8").count("\n## ") == page.count("<table>")


def _browser_draws(browser, page):
    """A screenshot with something on it: many different bytes where an empty page has few."""
    # In /tmp: some of its processes were denied a directory of the server's user.
    with tempfile.TemporaryDirectory(prefix="coupon_guard-browser.", dir="/tmp", ignore_cleanup_errors=True) as directory:
        shot, log = pathlib.Path(directory) / "page.png", pathlib.Path(directory) / "log"
        for _ in range(3):
            with log.open("w") as said:  # on a busy machine Chromium may not end; what it drew by then counts
                subprocess.run(["timeout", "--kill-after=5", "40", browser, "--headless", "--no-sandbox", "--disable-gpu",
                                "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={directory}/profile",
                                "--window-size=1200,6000", f"--screenshot={shot}", page.resolve().as_uri()],
                               env={**os.environ, "HOME": directory, "TMPDIR": directory}, stdout=said, stderr=said,
                               check=False)
            if shot.exists():
                break
        if shot.exists() and _distinct_rows(shot.read_bytes()) > 500:
            return True
        print("".join(f"# {line}\n" for line in log.read_text(errors="replace").splitlines()[-20:]), end="")
        return False


def _distinct_rows(png):
    """How many rows of the picture differ from all others; rows are compared as PNG filters them."""
    width = int.from_bytes(png[16:20], "big")
    channels = {2: 3, 6: 4}[png[25]]
    position, data = 8, b""
    while position < len(png):
        length = int.from_bytes(png[position:position + 4], "big")
        if png[position + 4:position + 8] == b"IDAT":
            data += png[position + 8:position + 8 + length]
        position += length + 12
    pixels, row = zlib.decompress(data), width * channels + 1
    return len({pixels[start:start + row] for start in range(0, len(pixels), row)})
