"""A whole campaign on one machine: sample list, own inbox, own clock.

May import everything below the command line. Nothing leaves 127.0.0.1, and nothing stays.
"""

from repermit.demo.running import run_demo, run_once

__all__ = ["run_demo", "run_once"]
