"""Texts that the admin gives in files of their own."""

from __future__ import annotations

from pathlib import Path

from repermit.errors import NotFound, Refused


def read_text(path: Path) -> str:
    """Return what stands in a text file in UTF-8; raises NotFound."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotFound(f"{path} is no UTF-8 text; save it as plain text in UTF-8") from None


def read_consent_text(path: Path) -> str:
    """Return the text of a form; raises NotFound, and Refused for one that says nothing."""
    text = read_text(path)
    if not text.removeprefix("\ufeff").strip():
        raise Refused(
            f"{path} holds no text: put the text of the form there with which these people "
            "signed up, or leave --consent-text out"
        )
    return text
