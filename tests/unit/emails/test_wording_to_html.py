"""The HTML that is made of the text of an own wording."""

from __future__ import annotations

from repermit.emails.mail_types import OwnWording
from repermit.emails.wording_to_html import text_to_html
from tests.support.mail_builders import make_ask
from tests.unit.emails.test_wording_validation import GOOD_TEXT


def test_the_html_of_a_text_has_paragraphs_lines_and_links() -> None:
    assert text_to_html(
        "a <b>\r\nc & d\n \n{{ yes_url }}{{-no_url-}}\n\n{{ me_url }} {{ stop }}\n"
    ) == (
        "<p>a &lt;b&gt;<br>\nc &amp; d</p>\n"
        '<p><a class="button" href="{{ yes_url }}">{{ yes_label }}</a>'
        '<a class="button" href="{{ no_url }}">{{ no_label }}</a></p>\n'
        '<p><a href="{{ me_url }}">{{ me_url }}</a> {{ stop }}</p>'
    )
    assert text_to_html("") == ""


def test_the_html_of_a_text_has_its_headings_its_lists_and_its_rule() -> None:
    assert text_to_html("# One\n\n## Two\n{{ reason }}\n- a\n- {{ stop }}\n\n-----\nend - #") == (
        "<h1>One</h1>\n<h2>Two</h2>\n<p>{{ reason }}</p>\n"
        "<ul>\n<li>a</li>\n<li>{{ stop }}</li>\n</ul>\n<hr>\n<p>end - #</p>"
    )
    draft = make_ask(own=OwnWording(text=f"# A # b\n\n## Two\n#c\n\n{GOOD_TEXT}"))
    assert draft.text.startswith("A # b\n\nTwo\n#c\n\n")
