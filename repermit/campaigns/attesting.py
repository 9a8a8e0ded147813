"""What the admin must say who launches a campaign: who decided to ask, and on what ground.

May import saying. A program cannot judge whether it is true, or whether it suffices;
it can tell that nothing was said.
"""

from __future__ import annotations

from repermit.saying import Said

_LEAST_CHARACTERS = 40
_LEAST_WORDS = 6

_LEAST_OF_A_REASON = 10

_WANTED = Said(
    "say with --attest who decided to ask, on what ground, where the addresses came from, and "
    "that none of them opted out; it is kept as evidence",
    code="attest",
)
_EXAMPLE = (
    '"Decided by the board on 1 November: our members could sign up on paper only, and we cannot '
    'show who did. Addresses from our own forms since 2016. None of them opted out."'
)


def is_reason(text: str) -> bool:
    """Say whether a text can be the reason for launching in spite of what a check found."""
    return len(text.strip()) >= _LEAST_OF_A_REASON and any(map(str.isalpha, text))


def attestation_lacks(attest: str) -> Said:
    """Return what is to be said if `attest` cannot say it, or "".

    Four things cannot be said in fewer than six different words.
    """
    words = attest.split()
    if not words:
        return _WANTED
    different = {word.casefold() for word in words if any(map(str.isalnum, word))}
    if len(" ".join(words)) < _LEAST_CHARACTERS or len(different) < _LEAST_WORDS:
        return Said(
            "%(attest)s says too little: %(wanted)s. For example: %(example)s",
            code="attest_more",
            attest=repr(attest.strip()),
            wanted=_WANTED,
            example=_EXAMPLE,
        )
    return Said()
