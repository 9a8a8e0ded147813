"""The pages that people see, over HTTP.

May import every room below, and Flask. Input becomes a use case's arguments, its result a page.
"""

from repermit.web.application import create_app
from repermit.web.serving import make_server

__all__ = ["create_app", "make_server"]
