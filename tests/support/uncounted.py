"""What is done without counting its lines; also a plugin of coverage.py, for importing.

Half of what counting costs a process that a test starts goes into importing, and the lines of its
modules are counted where the tests import them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    T = TypeVar("T")

_load = SourceFileLoader.exec_module


def coverage_init(_registry: Any, _options: Any) -> None:
    """Count no import in a process that a test has started, from its beginning on."""
    if "PYTEST_CURRENT_TEST" in os.environ and "pytest" not in sys.modules:
        SourceFileLoader.exec_module = _load_uncounted  # type: ignore[method-assign, assignment]


def _load_uncounted(loader: SourceFileLoader, module: ModuleType) -> None:
    call_uncounted(lambda: _load(loader, module))


def call_uncounted(what: Callable[[], T]) -> T:
    """Call what others go over too, or what is no code of ours."""
    counting = sys.gettrace()
    sys.settrace(None)
    try:
        return what()
    finally:
        sys.settrace(counting)
