"""How a command gives up."""


class Failure(Exception):
    """A command can't do what was asked. Its text is the one line that is shown."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code
