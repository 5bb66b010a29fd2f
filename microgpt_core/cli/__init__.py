"""The command line: thin commands, imported when they are used. No logic lives here."""
