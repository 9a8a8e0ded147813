"""What takes long: every page and language, real mail servers, disks that fill up, thirty kills."""
