"""Campaigns through real Postfix and Dovecot, and back by IMAP, POP3, a pipe and Sieve.

What stands in deploy/ is used to the letter, but for where repermit is and who runs it.
"""

from __future__ import annotations

import pwd
import smtplib
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mail_servers import OWNER, install, lacking, open_folder, wait_until
from tests.support.relayed_campaign import RETURNS, SENDER, RelayedCampaign, Setting

DEPLOY = Path(__file__).parents[2] / "deploy"
SOURCES = (DEPLOY.parent, Path(sysconfig.get_path("purelib")))
NOBODY = pwd.getpwuid(65_534).pw_name

OWN_DOMAINS = f"""
virtual_mailbox_domains = example.org {RETURNS}
virtual_mailbox_maps = static:ok
virtual_alias_maps = regexp:${{config_directory}}/virtual
"""
TO_ONE_MAILBOX = f"/^bounce\\+.*@bounces\\.example\\.org$/  {SENDER}\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    if why := lacking():
        pytest.skip(why)
    with open_folder() as made:
        if why := install(made / "repermit/venv/bin/repermit", *SOURCES):
            pytest.skip(why)
        yield made


def deployed(name: str, campaign: RelayedCampaign) -> str:
    """Return a file of deploy/ for a repermit that is in the campaign's folder."""
    text = (DEPLOY / name).read_text()
    for there, here in (
        ("/srv/repermit", str(campaign.house)),
        ("/etc/dovecot/", f"{campaign.folder}/"),
        ("user = repermit", f"user = {NOBODY}"),
        ("user=repermit", f"user={NOBODY}"),
        ("user = vmail", f"user = {OWNER.pw_name}"),
    ):
        text = text.replace(there, here)
    return text


def mailbox(protocol: str, port: int) -> str:
    """Return the settings of the mailbox that bounces and replies come to."""
    return f"""
[bounces]
protocol = "{protocol}"
server = "127.0.0.1"
port = {port}
tls = "none"
username = "{SENDER}"
password = "mellon"
"""


def postfix_setting(campaign: RelayedCampaign) -> Setting:
    """Return the pipe of deploy/postfix, and a copy of what people write, as it says there."""
    (line,) = [
        line.lstrip("# ")
        for line in (DEPLOY / "postfix/main.cf").read_text().splitlines()
        if line.startswith("#   news@example.org")
    ]
    own = OWN_DOMAINS.replace(f" {RETURNS}", "").replace("regexp:", "texthash:")
    return Setting(
        near=own + deployed("postfix/main.cf", campaign),
        near_master=deployed("postfix/master.cf", campaign),
        near_files={
            "virtual": line + "\n",
            "repermit-transport": deployed("postfix/repermit-transport", campaign),
        },
    )


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_campaign_of_200_comes_back_by_mailbox(protocol: str, folder: Path) -> None:
    campaign = RelayedCampaign(folder)
    assert len(campaign.people) == 200

    def came() -> list[bytes]:
        return campaign.dovecot.mails(SENDER)

    dovecot = campaign.dovecot
    port = dovecot.imap_port if protocol == "imap" else dovecot.pop3_port
    setting = Setting(
        config=mailbox(protocol, port), near=OWN_DOMAINS, near_files={"virtual": TO_ONE_MAILBOX}
    )
    with campaign.running(setting):
        campaign.send()
        wait_until(lambda: len(came()) >= campaign.returned, campaign.logged)
        assert len(came()) == campaign.returned
        serving = campaign.as_nobody("serve", "--port", "0")
        try:
            campaign.wait_for_verdicts()
        finally:
            serving.terminate()
            serving.wait()
        assert campaign.differences() == {}
        if protocol == "pop3":
            # What nobody has to read any more is gone; what people and programs wrote is there.
            assert len(came()) < campaign.returned


def test_a_campaign_of_200_comes_back_by_the_pipe_of_postfix(folder: Path) -> None:
    campaign = RelayedCampaign(folder)
    with campaign.running(postfix_setting(campaign)):
        campaign.send()
        campaign.wait_for_verdicts()
        # Nothing more comes that would change a verdict.
        wait_until(lambda: "empty" in campaign.near.command("postqueue", "-p"), campaign.logged)
        assert campaign.differences() == {}
        log = campaign.near.logged()
        piped = log.count("relay=bounces,") - log.count("status=deferred")
        assert piped == campaign.returned
        assert len(campaign.dovecot.mails(SENDER)) == len(replies(campaign))


def replies(campaign: RelayedCampaign) -> list[str]:
    return [one for one, ending in campaign.expected().items() if ending.reply]


def test_the_pipe_of_postfix_tries_again_and_refuses_others(folder: Path) -> None:
    campaign = RelayedCampaign(folder, share=100)
    with campaign.running(postfix_setting(campaign)):
        config = campaign.house / "config.toml"
        config.rename(config.with_suffix(".away"))
        bounce = f"bounce+abc@{RETURNS}"
        submit(campaign, bounce)
        wait_until(lambda: "status=deferred" in campaign.near.logged(), campaign.logged)
        assert "tempfail" in campaign.near.logged() or "temporary failure" in campaign.near.logged()
        config.with_suffix(".away").rename(config)
        campaign.near.command("postqueue", "-f")
        wait_until(lambda: "status=sent" in campaign.near.logged(), campaign.logged)
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="User unknown in relay"):
            submit(campaign, f"somebody@{RETURNS}")


def submit(campaign: RelayedCampaign, address: str) -> None:
    with smtplib.SMTP("127.0.0.1", campaign.near.port) as connection:
        connection.sendmail("", [address], b"From: MAILER-DAEMON@mx.example\r\n\r\nUnknown.\r\n")


def test_a_campaign_comes_back_by_the_pipe_of_sieve(folder: Path) -> None:
    campaign = RelayedCampaign(folder, share=20)
    (folder / "repermit.sieve").write_text(deployed("sieve/repermit.sieve", campaign))
    bounce = f"bounce@{RETURNS}"

    def came() -> list[bytes]:
        return campaign.dovecot.mails(SENDER) + campaign.dovecot.mails(bounce)

    setting = Setting(
        near=OWN_DOMAINS + "recipient_delimiter = +\n",
        near_files={"virtual": ""},
        dovecot=deployed("sieve/90-repermit.conf", campaign),
        compiled=(folder / "repermit.sieve",),
        users=(SENDER, bounce),
    )
    with campaign.running(setting):
        campaign.send()
        campaign.wait_for_verdicts()
        wait_until(lambda: len(came()) >= campaign.returned, campaign.logged)
        assert campaign.differences() == {}
        assert len(came()) == campaign.returned
        assert "Error: sieve" not in campaign.dovecot.logged()
