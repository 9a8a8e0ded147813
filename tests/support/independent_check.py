"""Checks one proof, or one export of the evidence, from the command line.

Wants nothing but Python, and OpenSSL's command for the signatures of timestamps:
    python3 independent_check.py FILE [KEY [CA-FILE [WITNESS-KEY…]]]
"""

import json
import sys
from pathlib import Path

# A script sees its own folder alone.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import independent_export, independent_verifier

REFUSALS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def check_file(path: str, key: str = "", ca_file: str = "", *witnesses: str) -> dict[str, object]:
    """Return whether a file holds: who signed and cosigned it, what timestamps tell; or why not."""
    octets = Path(path).read_bytes()
    keys = [key] if key else []
    try:
        is_export = str(independent_verifier.read(octets)["format"]).startswith("repermit-evidence")
        module = independent_export if is_export else independent_verifier
        found = module.check(octets, keys=keys, ca_file=ca_file, witnesses=witnesses)
    except REFUSALS as error:
        return {"holds": False, "why": str(error) or type(error).__name__}
    stamps = [[seq, at.isoformat(timespec="microseconds")] for seq, at in found.stamps]
    return {"holds": True, "signers": found.signers, "stamps": stamps, "cosigned": found.cosigned}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    told = check_file(*sys.argv[1:])
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.exit(not told["holds"])
