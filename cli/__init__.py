"""The command line: `bay run`, `bay ps` and the rest, with Docker's flags."""
