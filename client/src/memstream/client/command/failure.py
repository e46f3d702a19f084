"""The failure of a command."""


class Failure(Exception):
    """A command can't do what was asked. Its message is the one line that the user sees."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code
