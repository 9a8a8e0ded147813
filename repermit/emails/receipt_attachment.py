"""The file that comes with the receipt of a Yes."""

from __future__ import annotations

from repermit.emails.frozen_draft import Draft
from repermit.emails.mime_encoding import fold_header, quote_printable


def attach_checkpoint(
    checkpoint: str, draft: Draft, opening: bytes, closing: bytes
) -> tuple[bytes, bytes]:
    """Return the bytes before and after a body, with a checkpoint as an attachment.

    The attachment has no text/* type: SpamAssassin reads those as the body, where Latin letters
    among Cyrillic ones look like a disguise (MIXED_ES). It is no .txt either (OBFU_TEXT_ATTACH).
    """
    boundary = f"=_{draft.digest[32:]}"
    content_type = fold_header("Content-Type", "multipart/mixed;", f'boundary="{boundary}"')
    headers = (
        'Content-Type: application/json; name="checkpoint.json"\r\n'
        'Content-Disposition: attachment; filename="checkpoint.json"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    start = f"{content_type}\r\n--{boundary}\r\n".encode()
    middle = f"--{boundary}\r\n{headers}".encode() + quote_printable(checkpoint)
    end = f"\r\n--{boundary}--\r\n".encode()
    return start + opening, closing + middle + end
