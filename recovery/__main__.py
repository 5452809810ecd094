"""`python -m recovery` is the command `recovery`."""

from recovery.cli import main

if __name__ == "__main__":  # a spawned process imports this once more, under another name
    main()
