"""A process in which one more setting is declared: `python -m tests.support.added_setting FOLDER`.

It adds a field to settings/definitions.py as that is read, and nothing else, and prints what the
file, the forms and the evidence make of it.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path

_BEFORE = "    pause_at_bounce_percent: int = declare_setting(\n"
_FIELD = """\
    pilot_days: int = declare_setting(
        3,
        N_("Days of the pilot"),
        N_("How long the first hundred wait."),
        section=_EVERY_CAMPAIGN,
        limits=(1, 30),
    )
"""


def declare_setting() -> None:
    """Read settings/definitions.py with one more field; before anything else imports it."""
    spec = find_spec("repermit.settings.definitions")
    assert spec
    assert spec.origin
    source = Path(spec.origin).read_text("utf-8")
    assert source.count(_BEFORE) == 1
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(source.replace(_BEFORE, _FIELD + _BEFORE), module.__dict__)  # noqa: S102  our own source


def main(folder: Path) -> None:
    """Print as JSON what becomes of the setting."""
    from repermit.db import migrations  # noqa: PLC0415
    from repermit.db.connection import open_database  # noqa: PLC0415
    from repermit.db.models.evidence import EvidencePart  # noqa: PLC0415
    from repermit.errors import ConfigError  # noqa: PLC0415
    from repermit.setting_overrides import current_settings  # noqa: PLC0415
    from repermit.settings import config_file  # noqa: PLC0415
    from tests import reference  # noqa: PLC0415
    from tests.support.admin_pages import admin_client, post, words_at  # noqa: PLC0415
    from tests.support.config_documents import parse  # noqa: PLC0415
    from tests.support.public_pages import Pages, words_of  # noqa: PLC0415

    refused = ""
    try:
        parse(campaign={"pilot_days": 31})
    except ConfigError as error:
        refused = str(error)
    with open_database(f"sqlite:///{folder}/repermit.db") as database:
        migrations.upgrade_database(database)
        client, url = admin_client(Pages(database, parse())), "/admin/settings/campaign"
        form = words_at(client, url)
        wrong = words_of(post(client, url, **{"campaign.pilot_days": "0", "version": ""}))
        post(client, url, **{"campaign.pilot_days": "5", "version": ""})
        now = current_settings.read_current_settings(parse(), database)
        evidence = [json.loads(part.json) for part in EvidencePart.select()]
    known = {
        "is_known": "campaign.pilot_days" in config_file.list_known_keys(),
        "refused": refused,
        "form": form,
        "wrong": wrong,
        "days": vars(now.campaign)["pilot_days"],
        "evidence": [part.get("values") for part in evidence],
        "reference": reference.settings(),
    }
    sys.stdout.write(json.dumps(known))


if __name__ == "__main__":
    declare_setting()
    main(Path(sys.argv[1]))
