"""Tables, connections, the write lock, work in steps and the journal of suppressions."""
