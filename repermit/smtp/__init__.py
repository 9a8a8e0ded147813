"""The SMTP client, configured through Flask-Mail."""
