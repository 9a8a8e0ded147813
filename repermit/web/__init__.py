"""The web application: public pages, the admin's pages and the API."""
