import sys

from .measure.command import main

sys.exit(main())
