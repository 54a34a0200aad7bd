"""`python -m rnnzoo.report RUN ... --out=report.html`: the same as `rnnzoo report`."""

import sys

from rnnzoo.main import run

sys.argv.insert(1, "report")
run()
