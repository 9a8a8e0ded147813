"""Ask everyone on a mailing list once, keep the proof of every Yes, take off the rest.

See docs/develop/architecture.md for the dependencies between its packages.
"""

__version__ = "1.0.0"
