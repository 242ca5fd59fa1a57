"""`python -m rramhil`: the same as the `rramhil` command."""

from rramhil.cli import main

# processes that it starts load this file under another name
if __name__ == "__main__":
    main()
