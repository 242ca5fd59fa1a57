"""`python -m rramhil`: the same as the `rramhil` command."""

from rramhil.cli import main

main()
