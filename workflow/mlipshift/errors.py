"""The one exception that is meant for the user."""


class UserError(Exception):
    """Something the user can mend: says what is wrong, where, and how to mend it, in one line."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
