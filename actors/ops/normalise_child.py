"""The process that decodes one untrusted file: sets its own limits, then does what `decode_source.answer`
says.

What a reader gets wrong: this file is run as a script by `actors.ops.normalise` (`python -I`), never
imported. The limits are set here and not by the parent between fork and exec, which is unsafe in a process
with threads. The alarm makes the child end even when its parent was killed first.

In: the order, JSON on stdin. Out: {"result": ...} or {"reason": ...}, JSON on stdout. Exit code 1 is a
fault of ours.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from typing import Any


def _at_most(limit: tuple[int, int], ceiling: int) -> tuple[int, int]:
    return min(limit[0], ceiling), min(limit[1], ceiling)


def limit_this_process(limits: dict[str, Any]) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_FSIZE, limits["max_output_bytes"]),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        # At the soft limit of processor time comes SIGXCPU, which says why; at the hard one a bare SIGKILL.
        limit = (value, value + 5 if kind == resource.RLIMIT_CPU else value)
        ceiling = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, limit if ceiling == resource.RLIM_INFINITY else _at_most(limit, ceiling))
    signal.alarm(math.ceil(limits["wall_s"]) + 5)  # the default action ends the process


def main() -> None:
    order = json.load(sys.stdin)
    limit_this_process(order["limits"])
    sys.path.extend(path for path in order["import_paths"] if path not in sys.path)
    from actors.ops.decode_source import answer  # only now: the libraries load under the limits

    json.dump(answer(order), sys.stdout)


if __name__ == "__main__":
    main()
