"""What the person at the command line can put right."""


class BadInputError(Exception):
    """Input that cannot be used. The message is one line that names the file, the line, and what to do."""
