"""The description of the API (OpenAPI 3.1), which is `repermit/data/openapi.json`.

Tests hold it against the routes, against what they answer, and against the words of the code.
"""

from __future__ import annotations

from typing import Any

import repermit
from repermit import package_files
from repermit.web.api.problems import PREFIX


def make_openapi_document(public_url: str) -> dict[str, Any]:
    """Return the description for the installation at this URL."""
    description = package_files.data("openapi.json")
    description["info"]["version"] = repermit.__version__
    description["servers"] = [{"url": public_url + PREFIX}]
    return description
