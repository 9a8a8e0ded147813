"""Telling other programs of answers and removals: who is told, what, and that it arrived.

May import evidence, models and what lies below. Messages are signed after the Standard Webhooks
scheme (https://www.standardwebhooks.com) and made from the evidence when they leave.
"""

from repermit.webhooks.delivering import Sent, deliver_due
from repermit.webhooks.facts import Added, DeliveryFacts, News, NewsPage, WebhookFacts
from repermit.webhooks.keeping import add, end_all, listed, log, redeliver, remove
from repermit.webhooks.line import Reply
from repermit.webhooks.news import EVENTS, SELF, news_since
from repermit.webhooks.owing import owe
from repermit.webhooks.trying import test

__all__ = [
    "EVENTS",
    "SELF",
    "Added",
    "DeliveryFacts",
    "News",
    "NewsPage",
    "Reply",
    "Sent",
    "WebhookFacts",
    "add",
    "deliver_due",
    "end_all",
    "listed",
    "log",
    "news_since",
    "owe",
    "redeliver",
    "remove",
    "test",
]
