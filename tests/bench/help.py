"""How long `repermit --help` takes: the median of 20 runs, beside Python's own start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

RUNS = 20
REPERMIT = Path(sysconfig.get_path("scripts")) / "repermit"


def seconds(*command: str) -> float:
    """Return the seconds that a command takes, the median of all runs."""
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    """Measure both and print them."""
    bare = seconds(sys.executable, "-c", "pass")
    helped = seconds(str(REPERMIT), "--help")
    print(f"python -c pass    {bare:6.3f} s")
    print(f"repermit --help   {helped:6.3f} s   {helped / bare:.1f} times that")


if __name__ == "__main__":
    main()
