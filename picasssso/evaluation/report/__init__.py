"""HTML reports: `write_report` writes a single, self-contained HTML file about property maps."""

from picasssso.evaluation.report.page import write_report

__all__ = ["write_report"]
