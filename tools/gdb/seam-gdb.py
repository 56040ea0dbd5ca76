# SPDX-License-Identifier: MIT
"""Stacks of parked tasks in gdb.

    (gdb) source tools/gdb/seam-gdb.py
    (gdb) seam bt EXPRESSION        backtrace of the parked seam_task, or struct sm_context, at this
                                    address (a task begins with its context)

The registers of a parked context lie where its saved stack pointer says (src/arch/*/switch.S). The
command puts them into the selected thread, prints the backtrace, and puts the thread's own back;
nothing runs meanwhile. So it needs a live process: gdb does not write registers of a core file.
Whether the context is parked is for you to know: for a running one it shows where it parked last.
"""
import gdb

# Offsets from the saved stack pointer, and how much of the stack the saved registers take.
LAYOUTS = {
    "x86_64": {
        "pc": ("rip", 48), "sp": ("rsp", 56),
        "saved": {"r15": 0, "r14": 8, "r13": 16, "r12": 24, "rbx": 32, "rbp": 40},
    },
    "aarch64": {
        "pc": ("pc", 8), "sp": ("sp", 160),
        "saved": {"x29": 0, "x30": 8, "x19": 16, "x20": 24, "x21": 32, "x22": 40, "x23": 48,
                  "x24": 56, "x25": 64, "x26": 72, "x27": 80, "x28": 88},
    },
}


def read_word(address):
    return int(gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer()).dereference())


def switch_layout():
    """The layout of the switch this program was built with."""
    name = gdb.parse_and_eval("(char *)&sm_switch_name").string()
    if name not in LAYOUTS:
        raise gdb.GdbError(f"parked stacks cannot be shown: the switch is {name}")
    return LAYOUTS[name]


def parked_registers(sp):
    layout = switch_layout()
    registers = {name: read_word(sp + offset) for name, offset in layout["saved"].items()}
    name, offset = layout["pc"]
    registers[name] = read_word(sp + offset)
    name, size = layout["sp"]
    registers[name] = sp + size
    return registers


def set_registers(registers):
    for name, value in registers.items():
        gdb.execute(f"set ${name} = {value:#x}", to_string=True)


class Borrowed:
    """The selected thread with the registers of a parked context, until the end of the block."""

    def __init__(self, sp):
        self.registers = parked_registers(sp)

    def __enter__(self):
        self.selected = gdb.selected_frame().level()
        gdb.newest_frame().select()
        self.own = {name: int(gdb.parse_and_eval(f"(unsigned long)${name}"))
                    for name in self.registers}
        set_registers(self.registers)

    def __exit__(self, *_):
        gdb.newest_frame().select()
        set_registers(self.own)
        gdb.execute(f"frame {self.selected}", to_string=True)


class Seam(gdb.Command):
    """What a program's seam tasks are doing."""

    def __init__(self):
        super().__init__("seam", gdb.COMMAND_STACK, prefix=True)


class SeamBacktrace(gdb.Command):
    """seam bt EXPRESSION - backtrace of the parked task or struct sm_context at this address."""

    def __init__(self):
        super().__init__("seam bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("usage: seam bt ADDRESS-OF-TASK")
        context = int(gdb.parse_and_eval(f"(unsigned long)({argument})"))
        sp = read_word(context)
        if sp == 0:
            raise gdb.GdbError("this context has never been left, or was retired: nothing is saved")
        with Borrowed(sp):
            gdb.execute("backtrace")


Seam()
SeamBacktrace()
