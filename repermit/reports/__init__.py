"""Reports that the law asks for, statistics of campaigns, and mails to the admin about them."""
