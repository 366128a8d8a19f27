"""The version of the rules that are in force: that of the program. What was said by another one is not said anew."""

from reconciler import __version__

VERSION = __version__
