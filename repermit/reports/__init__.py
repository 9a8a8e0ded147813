"""Statistics of campaigns, and the mails to the admin about them."""
