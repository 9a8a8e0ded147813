"""Ask everyone on a mailing list once, keep the proof of every Yes, take off the rest.

How its packages build on each other stands in docs/develop/architecture.md.
"""

__version__ = "1.0.0"
