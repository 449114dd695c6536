"""python -m tinyvision: the same as the command tinyvision."""

import sys

from .cli import main

sys.exit(main())
