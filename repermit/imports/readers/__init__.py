"""Reading files of addresses, of whatever format and encoding, into rows."""
