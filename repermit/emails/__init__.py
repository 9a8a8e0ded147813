"""The text of mails: drafts frozen for each campaign and language, and mails made from them."""
