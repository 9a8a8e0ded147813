"""The archive of a list: all that is to outlast the server, in one file.

May import the rooms of the use cases and what lies below: it puts together what they make.
"""

from repermit.archives.guide import duties, lost
from repermit.archives.making import Archived, archive, require_over

__all__ = ["Archived", "archive", "duties", "lost", "require_over"]
