"""Decorators for pages: who may see them, and how large a body they accept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

_View = TypeVar("_View", bound="Callable[..., object]")

_ATTRIBUTE = "_repermit_marks"
MAX_FORM_SIZE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class PagePermissions:
    """Who may see a page (by default logged-in admins), and how large a body it accepts."""

    for_everybody: bool = False
    for_the_half_logged_in: bool = False
    for_viewers: bool = False
    in_the_background: bool = False
    takes_bytes: int = MAX_FORM_SIZE


def get_permissions(view: Callable[..., object]) -> PagePermissions:
    """Return the permissions that a page's decorators set."""
    permissions: PagePermissions = getattr(view, _ATTRIBUTE, PagePermissions())
    return permissions


def for_everybody(view: _View) -> _View:
    """Let a page be seen without a login."""
    return _mark(view, for_everybody=True)


def for_the_half_logged_in(view: _View) -> _View:
    """Let a page be seen from a session that is locked or lacks its second step."""
    return _mark(view, for_the_half_logged_in=True)


def for_viewers(view: _View) -> _View:
    """Let a page be seen by viewers too: it shows counts, never an address."""
    return _mark(view, for_viewers=True)


def in_the_background(view: _View) -> _View:
    """Mark a view that scripts request by themselves, so that it does not count as activity."""
    return _mark(view, in_the_background=True)


def takes_up_to(size: int) -> Callable[[_View], _View]:
    """Let a page accept a body of `size` bytes, such as a file, instead of a form's size."""
    return lambda view: _mark(view, takes_bytes=size)


def _mark(view: _View, **changes: bool | int) -> _View:
    setattr(view, _ATTRIBUTE, replace(get_permissions(view), **changes))  # type: ignore[arg-type]
    return view
