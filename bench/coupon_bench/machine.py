"""What the figures were taken on: figures without it are worth nothing."""

import os
import pathlib
import platform
import re

from . import redis
from .database import psql

SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size", "checkpoint_timeout",
            "wal_level", "autovacuum", "jit")


def describe():
    cpu = _first(r"^model name\s*: (.*)$", "/proc/cpuinfo") or platform.machine()
    memory = _first(r"^MemTotal:\s*(\d+) kB$", "/proc/meminfo")
    system = _first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release") or platform.system()
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(int(memory) / 1024**2) if memory else None,
            "system": system, "redis": redis.version() if redis.installed() else None}


def server():
    wanted = ", ".join(f"'{name}'" for name in SETTINGS)
    rows = psql("postgres", f"SELECT name, current_setting(name) FROM pg_settings WHERE name IN ({wanted});")
    return dict(rows)


def load_average():
    return round(os.getloadavg()[0], 2)


def _first(pattern, path):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None
