"""A cell's certificate: one battery of checks, the same for every registered cell and for yours."""

from rnnzoo.certificate.checks import CHECKS, Result, check
from rnnzoo.certificate.subject import Reference, Subject, flat

__all__ = ["CHECKS", "Reference", "Result", "Subject", "check", "flat"]
