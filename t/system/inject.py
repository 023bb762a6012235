"""Faults in the shipped programs, by strace and without any code of ours in them: a system call that fails, or
before which the process is killed.

    with inject.Fault(pid, "fdatasync:error=EIO:when=1") as fault:
        ...
        self.assertEqual(fault.hits(), 1)

`what` is strace's own expression: NAME:error=E, NAME:signal=KILL, NAME:delay_enter=MICROSECONDS, with
:when=FIRST[+STEP]. Counting begins when the Fault does. A process killed at a call has not done that call.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time


def why_not():
    """None when processes can be traced here, else the reason."""
    if not shutil.which("strace"):
        return "no strace"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with Fault(sleeper.pid, "nanosleep:error=EIO"):
            return None
    except OSError as error:
        return str(error)
    finally:
        sleeper.kill()
        sleeper.wait()


class Fault:
    def __init__(self, pid, what, path=None, first_thread=False):
        """`path`: only calls on this file. `first_thread`: only those of the thread that runs the loop; each of the others
        has a count of its own."""
        self.pid = pid
        self.output = tempfile.NamedTemporaryFile(prefix="posthouse-strace-", mode="r")
        call = what.split(":")[0]
        command = ["strace"] + ([] if first_thread else ["-f"]) + ["-o", self.output.name, "-p", str(pid)]
        command += ["-e", "trace=" + call, "-e", "inject=" + what]
        self.process = subprocess.Popen(command + (["-P", path] if path else []), stderr=subprocess.PIPE, text=True)
        said = ""
        while "attached" not in said:
            line = self.process.stderr.readline()
            if not line:
                self.process.wait()
                raise OSError("strace: " + said.strip())
            said += line

    def text(self):
        with open(self.output.name, errors="replace") as lines:
            return lines.read()

    def hits(self):
        """How often the fault has been made."""
        return self.text().count("(INJECTED)") + (1 if self.killed() else 0)

    def killed(self):
        return "+++ killed by SIGKILL" in self.text()

    def end(self):
        # It ends with the process; told to while that one dies, strace 6.1 may wait for ever.
        for number in ((0,) if self.killed() else ()) + (signal.SIGTERM, signal.SIGKILL):
            self.process.send_signal(number)
            try:
                self.process.wait(3)
                break
            except subprocess.TimeoutExpired:
                pass
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.output.close()
