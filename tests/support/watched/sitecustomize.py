"""Watches a ComfyUI from its first line: Python imports this by itself where PYTHONPATH names this folder.

Connections to other machines raise. What the pack does to the world is written to the file that SDEXPLAIN_WATCHED names, a line
of JSON for each: connections of anybody; programs, pickles and files opened for writing or changed, where the pack is among
the callers.
"""

import json
import os
import socket
import sys

PACK = f"{os.sep}custom_nodes{os.sep}sdexplain{os.sep}"
HERE = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "", None}  # noqa: S104
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "pickle.find_class"}
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

log = os.open(os.environ["SDEXPLAIN_WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def by_the_pack() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if PACK in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def write(event: str, what: object) -> None:
    os.write(log, (json.dumps([event, str(what)]) + "\n").encode())


def watch(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0] if event.startswith("socket.get") else arguments[1]
        if isinstance(arguments[0], socket.socket) and arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
            return
        host = address[0] if isinstance(address, tuple) else address
        if (host.decode() if isinstance(host, bytes) else host) not in HERE:
            write(event, host)
            raise PermissionError(f"no connection to {host} while this is watched")
    elif event in PROGRAMS and by_the_pack():
        write(event, arguments[0])
    elif event in CHANGES and by_the_pack():
        write(event, arguments[0])
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & WRITING and by_the_pack():
        write(event, os.fsdecode(arguments[0]))


sys.addaudithook(watch)
