"""The command `recovery`, and `python -m recovery`."""

import sys


def main() -> None:
    """Run the command line; without the packages of the daemon, exit with a sentence that says what to install."""
    try:
        from recovery.cli import main as run
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "recovery":
            raise
        sys.exit(f"recovery: the daemon and its commands need {exc.name}: run pip install 'recovery[daemon]'.")
    run()


if __name__ == "__main__":  # a spawned process imports this once more, under another name
    main()
