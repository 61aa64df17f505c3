"""`python -m tutelage`: the command."""

from tutelage.cli import main

if __name__ == "__main__":
    main()
