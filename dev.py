#!/usr/bin/env python3
"""SDExplain from nothing but Python and pip.

    python dev.py demo               run the example workflows, save their pictures to output/
    python dev.py ui                 start ComfyUI with SDExplain for the browser
    python dev.py test               run all tests (what follows is passed on to pytest)
    python dev.py test --quick       run those that need no ComfyUI and no browser, in a minute or so
    python dev.py setup              only install what these need
    python dev.py run SCRIPT ...     run a script in the environment, such as benchmarks.truth

The first run installs a Python environment into .venv and, unless COMFYUI_PATH names one or this folder lies in the
custom_nodes of one, a ComfyUI into .comfyui. Later runs install nothing and need no network.

Where SDEXPLAIN_HOSTS names folders of further ComfyUIs (separated as in PATH, each with an environment in its .venv
that has the test tools as well), `test` then runs the tests that depend on the ComfyUI on each of them in turn and says
which passed.
"""

import sys

# Here, and in words that any Python can read: everything behind it needs 3.10.
if sys.version_info < (3, 10):
    sys.exit(
        "SDExplain needs Python 3.10 or newer; this is Python %d.%d (%s).\n"
        "Install a newer one from python.org or your system's packages and run dev.py with it."
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from tools.commands import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
