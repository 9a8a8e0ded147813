"""The archive of a list: everything that outlasts the server, in one file."""
