"""scripts/bench: measures what was asked for, and writes the reports."""

import datetime
import json
import pathlib
import signal
import sys

from . import bulk, cliff, growth, last_codes, machine, memory, merge, phases, rounds, settings as command_line, skewed, targets, wal
from .catalogue import GROUPS, STUDIES
from .database import Databases, SqlError, ask, checkpoint, run_schema
from .load import LoadError
from .rounds import Progress


def measure(settings, command, commit, progress):
    results = {
        "format": 1,
        "taken_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "commit": commit,  # empty where it is not known
        "machine": machine.describe(),
        "load_average": {"before": machine.load_average()},
        "rounds": settings.rounds, "seconds": settings.seconds,
        "groups": {},
    }
    with Databases() as databases:
        results["server"] = machine.server()
        database = databases.create("cases")
        run_schema(database, ("guard",))
        results["version"] = ask(database, "SELECT guard.coupon_guard_version();")
        for group in GROUPS:
            if any(case.name in settings.cases for case in group.cases):
                checkpoint()
                results["groups"][group.name] = rounds.run_group(group, database, settings, progress)
        for study, one_database, run in (("wal", True, wal.measure), ("phases", True, phases.measure),
                                         ("memory", True, memory.measure), ("bulk", True, bulk.measure),
                                         ("generated", True, bulk.generated),
                                         ("multiuse", True, bulk.multiuse), ("cliff", True, cliff.measure),
                                         ("last_codes", True, last_codes.measure), ("skewed", True, skewed.measure),
                                         ("growth", False, growth.ledger), ("coupons", False, growth.coupons)):
            if study in settings.studies:
                checkpoint()
                results[study] = run(database if one_database else databases, settings, progress)
    results["load_average"]["after"] = machine.load_average()
    results["targets"] = targets.judge(results)
    return results


def write(results, directory):
    """Three files of one name; latest.* are the last run's."""
    # Not at the top: --help and --list are there before what draws the plots is installed.
    from .report import html, markdown
    directory.mkdir(parents=True, exist_ok=True)
    stamp = results["taken_at"][:19].replace(":", "").replace("-", "")
    texts = {"json": json.dumps(results, indent=1) + "\n", "md": markdown.render(results), "html": html.render(results)}
    for ending, text in texts.items():
        for name in (stamp, "latest"):
            (directory / f"{name}.{ending}").write_text(text, encoding="utf-8")
    return {ending: directory / f"{stamp}.{ending}" for ending in texts}


def list_cases():
    for group in GROUPS:
        print(f"{group.name}: {group.title}")
        for case in group.cases:
            print(f"    {case.name:28}{case.title}")
    print("studies: " + ", ".join(STUDIES))


def run(given, settings):
    if given.merge:
        results = merge.merge(given.merge)
    else:
        results = measure(settings, given.command_line.strip(), given.commit, Progress())
    files = write(results, pathlib.Path(given.results))
    if given.self_test:
        from . import self_test
        return self_test.check(results, files)
    print(files["md"].read_text(encoding="utf-8"))
    print("\n".join(f"written: {path}" for path in files.values()))
    return 0


def main():
    given, settings = command_line.parse(sys.argv[1:])
    if given.list:
        list_cases()
        return 0
    if given.count_shards:
        print(command_line.shards_of(settings))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what has been started is ended on both
    try:
        return run(given, settings)
    except (SqlError, LoadError, merge.MergeError) as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
