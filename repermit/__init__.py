"""Ask everyone on a mailing list once, keep the proof of every Yes, take off the rest.

The rooms of this package stand on floors; see "For the next engineer" in the README.
"""

__version__ = "0.1.0"
