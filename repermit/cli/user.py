"""Commands for users: user add, user list, user remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from repermit.cli.command import Group, command
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_table

if TYPE_CHECKING:
    from repermit.accounts.user_info import UserInfo


@click.group("user", cls=Group, examples=("repermit user add anna@example.org",))
def user() -> None:
    """Add somebody who may log in, list them, or remove one."""


@command(
    "add",
    examples=("repermit user add anna@example.org", "repermit user add bram@example.org --viewer"),
)
@click.argument("email")
@click.option("--viewer", is_flag=True, help="They see counts, never an address.")
@click.option(
    "--new-second-step", is_flag=True, help="For whoever has lost phone and recovery codes."
)
@pass_command_context
def add(context: CommandContext, email: str, *, viewer: bool, new_second_step: bool) -> None:
    """Add an admin, and print a one-time link with which they choose a password.

    Somebody who is there already gets a new link, as after a forgotten password.
    """
    from repermit.accounts import users
    from repermit.accounts.user_info import Role
    from repermit.errors import NotFound

    with context.database() as database:
        try:
            user_info = users.find_user_by_email(email)
        except NotFound:
            role = Role.VIEWER if viewer else Role.ADMIN
            invited = users.add_user(
                database, email, role=role, now=context.now, actor=context.actor
            )
            summary = f"Added as {role}."
        else:
            invited = users.invite_user(
                database,
                user_info.id,
                now=context.now,
                actor=context.actor,
                renews_second_step=new_second_step,
            )
            summary = f"They are there already, as {user_info.role}, and get a new link."
    echo(
        summary,
        f"  {context.settings.public_url}/admin/welcome/{invited.token}",
        f"It works once, until {context.format_time(invited.ends_at)}. Whoever opens it first "
        "gets in.",
    )


@command("list", examples=("repermit user list",))
@pass_command_context
def list_(context: CommandContext) -> None:
    """List everybody who may log in."""
    from repermit.accounts import users

    with context.database():
        users_ = users.list_users()
    rows = [
        (person.email or "(the first admin)", person.role, _describe_state(person))
        for person in users_
    ]
    echo_table(("address", "role", ""), rows)


def _describe_state(user_info: UserInfo) -> str:
    if not user_info.has_password:
        return "has not chosen a password yet"
    return "" if user_info.has_second_step else "has not set up the second step yet"


@command("remove", examples=("repermit user remove anna@example.org",))
@click.argument("email")
@pass_command_context
def remove(context: CommandContext, email: str) -> None:
    """Remove somebody, and erase their address; what they did stays in the evidence.

    Their tokens and webhooks end too.
    """
    from repermit.accounts import users
    from repermit.webhooks import endpoints

    with context.database() as database:
        user_info = users.find_user_by_email(email)
        hooks = [
            webhook.url
            for webhook in endpoints.list_webhooks()
            if webhook.created_by == user_info.actor
        ]
        users.remove_user(
            database,
            user_info.id,
            end_webhooks=endpoints.remove_by_creator,
            now=context.now,
            actor=context.actor,
        )
    echo("Removed. They are logged out, and cannot log in any more.")
    if hooks:
        echo("The webhooks that they added are told nothing more; another admin can add them:")
        echo(*(f"  {url}" for url in hooks))


for subcommand in (add, list_, remove):
    user.add_command(subcommand)


COMMANDS = (user,)
