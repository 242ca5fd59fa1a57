"""The simulated board: the same bytes on the wire as the hardware, a physical model beneath."""
