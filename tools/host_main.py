"""Runs a ComfyUI's main.py in this process, and ends when the program that started it ends, however that ended.

`server.py` starts it with the Python of the host: `python host_main.py <ComfyUI>/main.py <its arguments>`.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def end_with_parent() -> None:
    """Wait for the end of standard input: the parent holds the other end, which closes even when it is killed."""
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    main = os.path.abspath(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.argv = [main, *sys.argv[2:]]
    # as if main.py had been started itself: its folder leads the path, and this one is not on it
    sys.path[:] = [os.path.dirname(main), *(entry for entry in sys.path if os.path.abspath(entry) != here)]
    runpy.run_path(main, run_name="__main__")
