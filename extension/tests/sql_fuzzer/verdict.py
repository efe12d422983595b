"""Which errors are answers, and which are finds."""

import re
import sys

# Of docs/reference.md: what the guard itself refuses with; and the classes of PostgreSQL's own for input that is none, for tables in
# another state, for locks and limits.
ANSWERS = re.compile(r"""^(
    RC0..                                          # a refusal
    | 09000 | 0A... | 0L... | 0P... | 21... | 22... | 23... | 24... | 25... | 26... | 27... | 28000 | 2B... | 2D000 | 34... | 38... | 39...
    | 3B... | 3D... | 3F... | 40... | 42... | 44... | 53... | 54... | 55... | 57014 | 57P01 | 57P05
    | P0001 | P0002 | P0003 | P0004
)$""", re.VERBOSE)

# Errors of the server's own that have no code of their own, or XX000, and in which no part of the extension's has a hand.
OF_THE_SERVER = (
    re.compile(r"^invalid memory alloc request size"),
    # Two sessions change the same row of a catalog (GRANT, ALTER ROLE), which the server does not wait for.
    re.compile(r"^tuple concurrently (updated|deleted)"),
    # The parser's, of an expression whose type is "unknown", as SQLsmith writes them.
    re.compile(r"^failed to find conversion function from unknown"),
    # A volatile function of PL/pgSQL that says it is parallel safe, where the leader runs it in a command that writes.
    re.compile(r"^cannot start commands during a parallel operation"),
)


def is_find(sqlstate, message):
    """True for an error that no caller should see."""
    if sqlstate and ANSWERS.match(sqlstate):
        return False
    return not any(known.search(message or "") for known in OF_THE_SERVER)


def finds_in_log(lines):
    """What a server's log, with log_error_verbosity = verbose, has of crashes and of such errors, those that a handler has caught too."""
    for line in lines:
        error = re.search(r" (?:ERROR|FATAL|PANIC):  (\w{5}): (.*)", line)
        if re.search(r"TRAP:|PANIC:|was terminated by|server process .* exited with", line):
            yield line
        elif error and error[1].startswith("XX") and is_find(error[1], error[2]):
            yield line


if __name__ == "__main__":
    FOUND = list(finds_in_log(sys.stdin))
    print("".join(FOUND[:40]), end="")
    sys.exit(1 if FOUND else 0)
