"""Which servers are believed to be who they say."""

from __future__ import annotations

import ssl

from repermit.errors import ConfigError


def checking_context(ca_file: str, *, key: str = "mail.ca_file") -> ssl.SSLContext:
    """Return a context that checks certificate and name; `ca_file` adds an authority, "" none.

    Raises ConfigError, for the setting `key`, if that file cannot be used.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as error:
        raise ConfigError(
            "%(key)s holds no certificate that can be read: %(reason)s",
            key=key,
            reason=str(error.strerror),
        ) from None
    return context
