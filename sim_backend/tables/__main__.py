"""Write the tables beside this file."""

from pathlib import Path

from sim_backend.tables.make import write

write(Path(__file__).parent)
