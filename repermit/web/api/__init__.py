"""The API for other programs, below /api/v1/.

May import every room below, and Flask. It knows no cookie and answers no other website's script;
whoever asks shows a bearer token.
"""

from repermit.web.api.document import document
from repermit.web.api.pacing import Allowances
from repermit.web.api.problems import PREFIX, is_asked_by_program, problem_for
from repermit.web.api.reading import api

__all__ = ["PREFIX", "Allowances", "api", "document", "is_asked_by_program", "problem_for"]
