"""The admin's pages: everything that the command line does, for whoever never opens a terminal.

May import every room below, and Flask. Each module holds the pages of one question.
"""

from repermit.web.admin.registering import register

__all__ = ["register"]
