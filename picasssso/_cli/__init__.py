"""The parts of the ``picasssso`` command, one module per command."""
