"""`python -m leaky_zoo` is the `leaky-zoo` command."""

from leaky_zoo.cli import main

if __name__ == "__main__":
    main()
