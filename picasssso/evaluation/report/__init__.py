"""A page about one run: `write_report` makes a single HTML file that needs nothing else."""

from picasssso.evaluation.report.page import write_report

__all__ = ["write_report"]
