"""``python -m portofcall.websockify``."""

import sys

from portofcall.websockify.main import main

if __name__ == "__main__":
    sys.exit(main())
