"""The admin's pages, which do everything that the command line does."""
