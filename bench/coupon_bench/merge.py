"""One report of several runs that each measured a part: groups and studies, as scripts/bench --cases chooses them."""

import datetime

from . import targets
from .catalogue import STUDIES

SAME = ("format", "version", "commit", "machine", "server")  # or the parts belong to different reports
CONDITIONS = SAME + ("taken_at", "command", "load_average", "rounds", "seconds")


class MergeError(Exception):
    """The runs do not belong into one report."""


def merge(parts):
    """Of a group that two of them have, the last one's: a ratio is of one run, so a group is never mixed."""
    for part in parts[1:]:
        for key in SAME:
            one, other = parts[0].get(key), part.get(key)
            is_unknown = key == "commit" and not (one and other)
            if one != other and not is_unknown:
                raise MergeError(f"these runs differ in their {key}: {one} and {other}")
    results = {
        **{key: parts[-1].get(key) for key in CONDITIONS},
        "taken_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": "scripts/bench --merge",
        "parts": [{key: part.get(key) for key in CONDITIONS} for run in parts for part in run.get("parts", [run])],
        "groups": {},
    }
    for part in parts:
        results["groups"].update(part["groups"])
        results.update((study, part[study]) for study in STUDIES if study in part)
    results["targets"] = targets.judge(results)
    return results
