"""The version of the package, as files and reports record it."""

try:
    from picasssso._version import version as __version__
except ImportError:  # a source tree that was never installed
    __version__ = "0+unknown"
