"""Run the command line: `repermit` and `python -m repermit`."""

from repermit.cli import main

if __name__ == "__main__":
    main()
