"""What a running program could do if it were taken over: system calls made within it, by ptrace. x86-64, as root.

    with take_over.TakenOver(pid) as program:
        result = program.call("open", b"/mail", os.O_RDONLY)  # negative: an errno

Its main thread stands still meanwhile, and goes on as if nothing had been afterwards.
"""
import ctypes
import os
import platform
import signal

GET_REGISTERS, SET_REGISTERS, SINGLE_STEP, ATTACH, DETACH = 12, 13, 9, 16, 17
WAIT_FOR_ALL = 0x40000000
CALLS = {"open": 2, "close": 3, "socket": 41, "connect": 42, "recvfrom": 45, "execve": 59, "kill": 62, "unlink": 87,
         "ptrace": 101, "setgroups": 116}
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
             "ds es fs gs").split()
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


def why_not():
    """None when it can be done here."""
    if platform.machine() != "x86_64":
        return "written for x86-64"
    return None if os.geteuid() == 0 else "needs root"


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in REGISTERS]


class TakenOver:
    def __init__(self, pid):
        self.pid, self.memory = pid, None
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.restype = ctypes.c_long
        self.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    def trace(self, request, data=None):
        if self.ptrace(request, self.pid, None, data) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.trace(ATTACH)
        os.waitpid(self.pid, WAIT_FOR_ALL)
        self.before = Registers()
        self.trace(GET_REGISTERS, ctypes.addressof(self.before))
        self.memory = open("/proc/%d/mem" % self.pid, "r+b", buffering=0)
        # It waits in the loop: right behind the instruction that a call needs.
        if self.peek(self.before.rip - 2, 2) != b"\x0f\x05":
            self.__exit__()
            raise OSError("not stopped in a system call")
        return self

    def __exit__(self, *_):
        self.trace(SET_REGISTERS, ctypes.addressof(self.before))
        self.trace(DETACH)
        if self.memory:
            self.memory.close()

    def peek(self, address, size):
        self.memory.seek(address)
        return self.memory.read(size)

    def call(self, name, *arguments):
        """Bytes are put into its memory and given by address (bytearray: and filled with what is there afterwards)."""
        registers = Registers.from_buffer_copy(self.before)
        registers.rip -= 2
        registers.orig_rax = ctypes.c_ulong(-1).value # do not go on with what was interrupted
        registers.rax = CALLS[name]
        free, filled = self.before.rsp - 65536, []
        for register, argument in zip(ARGUMENTS, arguments):
            if isinstance(argument, (bytes, bytearray)):
                self.memory.seek(free)
                self.memory.write(bytes(argument) + b"\0")
                if isinstance(argument, bytearray):
                    filled.append((argument, free))
                argument, free = free, free + len(argument) + 1
            setattr(registers, register, ctypes.c_ulong(argument).value)
        self.trace(SET_REGISTERS, ctypes.addressof(registers))
        self.trace(SINGLE_STEP)
        _, status = os.waitpid(self.pid, WAIT_FOR_ALL)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != signal.SIGTRAP:
            raise OSError("unexpected state 0x%x" % status)
        self.trace(GET_REGISTERS, ctypes.addressof(registers))
        for buffer, address in filled:
            buffer[:] = self.peek(address, len(buffer))
        return ctypes.c_long(registers.rax).value
