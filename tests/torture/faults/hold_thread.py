#!/usr/bin/env python3
"""Holds one thread of a program still, by ptrace, while the others go on; lets go of it in any case when this process ends.

    hold_thread.py PID THREAD-NAME MILLISECONDS

The first thread of that name (/proc/PID/task/*/comm). Ends with 0 also when the program ended meanwhile.
"""
import ctypes
import os
import pathlib
import sys
import time

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # also threads
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def find(pid, name):
    for thread in sorted((int(task.name), task) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()):
        if (thread[1] / "comm").read_text().strip() == name:
            return thread[0]
    sys.exit(f"hold_thread: no thread {name} in {pid}")


def main(pid, name, ms):
    try:
        thread = find(pid, name)
        ptrace(PTRACE_SEIZE, thread)
        ptrace(PTRACE_INTERRUPT, thread)
        _, status = os.waitpid(thread, WALL)
        if os.WIFSTOPPED(status):
            time.sleep(ms / 1000)
            ptrace(PTRACE_DETACH, thread)
    except (FileNotFoundError, ProcessLookupError, ChildProcessError):
        pass  # it ended meanwhile


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
