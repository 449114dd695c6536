"""A pickle is a program, and this is a machine that runs only the harmless part of it.

The program is a list of instructions for a machine with a stack and a memo (numbered pigeonholes, for what is used twice).
The list [7, "a"], shown by `python -m pickletools`, is

    EMPTY_LIST    MARK    BININT1 7    BINUNICODE 'a'    APPENDS    STOP

Nearly all instructions are like these: they push a number, a string or an empty container, or fill one.  Three are not:

    GLOBAL 'os system'    imports a module and pushes what is found there under that name
    REDUCE                calls the function on the stack with the arguments above it
    BUILD                 hands an object a state, by a method of the object's own choice

Together they build any object of any class, and GLOBAL 'os system', BINUNICODE 'rm -rf ~', TUPLE1, REDUCE is a pickle
like any other: pickle.load on a stranger's file runs a stranger's program.

Here GLOBAL imports nothing.  It pushes a `Name`, a piece of text, and only if that is on the caller's list.  REDUCE looks the
name up in the caller's own table of functions.  BUILD throws the state away, and only an OrderedDict may have one.  So
the stack holds data and nothing that could be called.  The standard library's pickletools decodes the bytes.

A program can harm by its size too, so an instruction makes one small object at most (but see `call`), their number is
limited, and so is what may be a key: hashing a tuple of tuples of tuples can take for ever.

Source: Lib/pickletools.py of CPython, which documents every instruction.
"""

import inspect
import pickletools
from collections import OrderedDict
from dataclasses import dataclass

from .damage import Damaged, Refused, text

INSTRUCTIONS = 1_000_000          # a ResNet-152 takes 30,000
ARGUMENTS = 16                    # of one call, and parts of one key
ATOMS = (str, bytes, int, float, complex, bool, type(None))

PUSH_ARGUMENT = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
                 "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
PUSH_CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
PUSH_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}


@dataclass(frozen=True)
class Name:
    """What GLOBAL leaves on the stack: the name of a function or class, never the thing itself."""

    path: str


def load(file, calls=None, names=(), persistent_load=None):
    """Run the pickle that starts at the file's position, and leave the position behind its last instruction.

    file: a binary stream in memory (io.BytesIO), where asking for too many bytes costs nothing.
    calls: {"module.name": function} for further names that may be called, besides those in PLAIN.  A function receives
        arguments from the file, so it checks their types; their number is checked here.
    names: further names that may occur, as values; they come out as `Name`.
    persistent_load: makes the object that a persistent id stands for.
    Raises Damaged for what is no pickle, and Refused for anything but plain data: None, bool, int, float, complex, str, bytes,
    tuple, list, set, dict, OrderedDict and what `calls` and `persistent_load` return.  Both are ValueErrors.

    >>> import io, pickle
    >>> load(io.BytesIO(pickle.dumps({"epoch": 7, "loss": [0.5, 0.25]})))
    {'epoch': 7, 'loss': [0.5, 0.25]}
    """
    return Machine(file, PLAIN | (calls or {}), names, persistent_load).run()


def as_key(value):
    """The value, if it may be a dictionary's key or a member of a set."""
    parts = value if type(value) is tuple else (value,)
    if len(parts) > ARGUMENTS or not all(type(part) in ATOMS for part in parts):
        raise Refused(f"a key must be a string or a number, or a short tuple of them, got {text(value)}")
    return value


# Plain data that pickle builds by a call; older protocols have no instruction for them.

def ordered_dict(items=()):
    """Python 2 hands the items over, as a list of lists."""
    if not all(type(item) is list and len(item) == 2 for item in listed(items)):
        raise Damaged("an OrderedDict must be made of pairs")
    return OrderedDict((as_key(key), value) for key, value in items)


def plain_set(items=()):
    return set(map(as_key, listed(items)))


def listed(items):
    if type(items) not in (list, tuple):
        raise Damaged(f"a container must be made from a list, got {text(items)}")
    return items


def complex_number(real, imaginary):
    if type(real) is not float or type(imaginary) is not float:
        raise Damaged("a complex number must be made of two floats")
    return complex(real, imaginary)


def bytes_from_text(characters="", encoding="latin1"):
    """Before protocol 3, one character for each byte."""
    if type(characters) is not str or encoding != "latin1" or not all(ord(character) < 256 for character in characters):
        raise Damaged("bytes must be written as text in latin1")
    return characters.encode("latin-1")


PLAIN = {"collections.OrderedDict": ordered_dict, "builtins.set": plain_set, "builtins.complex": complex_number,
         "builtins.bytes": bytes_from_text, "_codecs.encode": bytes_from_text}


def two_lines(file):
    """The argument of GLOBAL.  pickletools would undo backslashes in it, which pickle itself does not."""
    lines = file.readline(), file.readline()
    if not lines[1].endswith(b"\n"):
        raise ValueError("a name without an end")
    return " ".join(line[:-1].decode("utf-8") for line in lines)


OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
READERS = {opcode.name: opcode.arg.reader for opcode in pickletools.opcodes if opcode.arg} | {"GLOBAL": two_lines}


def instructions(file, known):
    """(name, argument) of each instruction up to STOP.  No argument is decoded unless the instruction is known."""
    for _ in range(INSTRUCTIONS):
        opcode = OPCODES.get(file.read(1))
        if opcode is None:
            raise Damaged("its pickle breaks off, or has a byte that is no instruction")
        if opcode.name == "STOP":
            return
        if opcode.name not in known:
            raise Refused(f"its pickle has the instruction {opcode.name}, which plain data does not need", opcode.name)
        try:
            argument = READERS[opcode.name](file) if opcode.name in READERS else None
        except ValueError as error:
            raise Damaged(f"its pickle breaks off, or has a bad argument ({error})") from error
        yield opcode.name, argument
    raise Refused(f"its pickle has more than {INSTRUCTIONS:,} instructions, too many for a checkpoint")


class Machine:
    """One run of one program.  The methods named in STEPS are its instructions; there are no others."""

    def __init__(self, file, calls, names, persistent_load):
        self.file, self.calls, self.names, self.persistent_load = file, calls, names, persistent_load
        self.stack, self.below, self.memo = [], [], {}            # MARK puts the stack aside and starts a new one
        self.copied = 0

    def run(self):
        known = PUSH_ARGUMENT | PUSH_CONSTANT.keys() | PUSH_EMPTY.keys() | self.STEPS.keys()
        for name, argument in instructions(self.file, known):
            if name in PUSH_ARGUMENT:
                self.stack.append(argument)
            elif name in PUSH_CONSTANT:
                self.stack.append(PUSH_CONSTANT[name])
            elif name in PUSH_EMPTY:
                self.stack.append(PUSH_EMPTY[name]())
            else:
                self.STEPS[name](self, argument)
        if len(self.stack) != 1 or self.below:
            raise Damaged("its pickle stops with unfinished work on the stack")
        return self.stack.pop()

    def pop(self):
        if not self.stack:
            raise Damaged("its pickle takes more from the stack than it put there")
        return self.stack.pop()

    def top(self, *types):
        """The container on top, which must be of one of these types exactly."""
        if not self.stack or type(self.stack[-1]) not in types:
            raise Damaged("its pickle fills a container that is not there")
        return self.stack[-1]

    def mark(self, _):
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self):
        if not self.below:
            raise Damaged("its pickle goes back to a mark that it never set")
        items, self.stack = self.stack, self.below.pop()
        return items

    def remember(self, index):
        if not self.stack:
            raise Damaged("its pickle remembers the top of an empty stack")
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def recall(self, index):
        if index not in self.memo:
            raise Damaged(f"its pickle recalls number {index}, which it never remembered")
        self.stack.append(self.memo[index])

    def tuple_since_mark(self, _):
        items = self.since_mark()
        self.stack.append(tuple(items))

    def tuple1(self, _):
        self.stack.append((self.pop(),))

    def tuple2(self, _):
        second, first = self.pop(), self.pop()
        self.stack.append((first, second))

    def tuple3(self, _):
        third, second, first = self.pop(), self.pop(), self.pop()
        self.stack.append((first, second, third))

    def append(self, _):
        item = self.pop()
        self.top(list).append(item)

    def extend(self, _):
        items = self.since_mark()
        self.top(list).extend(items)

    def add(self, _):
        items = self.since_mark()
        self.top(set).update(map(as_key, items))

    def set_item(self, _):
        value, key = self.pop(), self.pop()
        self.top(dict, OrderedDict)[as_key(key)] = value

    def set_items(self, _):
        items = self.since_mark()
        if len(items) % 2:
            raise Damaged("a dictionary has a key without a value")
        self.top(dict, OrderedDict).update(zip(map(as_key, items[::2]), items[1::2]))

    def python2_string(self, characters):
        try:
            self.stack.append(characters.encode("latin-1").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Damaged(f"a string is not text, {error}") from error

    def name(self, module_and_name):
        self.push_name(*module_and_name.split(" ", 1))

    def name_from_stack(self, _):
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise Damaged(f"a name must be two strings, got {text(module)} and {text(name)}")
        self.push_name(module, name)

    def push_name(self, module, name):
        module = "builtins" if module == "__builtin__" else module              # its name in Python 2
        path = f"{module}.{name}"
        if path not in self.calls and path not in self.names:
            raise Refused(f"it needs {text(path)}, which is not plain data", path)
        self.stack.append(Name(path))

    def call(self, _):
        arguments, name = self.pop(), self.pop()
        if type(name) is not Name or name.path not in self.calls:
            raise Refused(f"its pickle calls {text(getattr(name, 'path', name))}, which is not a function")
        if type(arguments) is not tuple or len(arguments) > ARGUMENTS:
            raise Damaged(f"{name.path} is called without a proper list of arguments")
        # A call may copy its arguments.  An honest program writes out what it hands over, so it never copies more than its own
        # length; a dishonest one recalls a long string from the memo a million times.
        self.copied += sum(len(argument) for argument in arguments if type(argument) in (str, list, tuple))
        if self.copied > self.file.tell():
            raise Refused(f"its pickle copies {self.copied} elements, more than it contains")
        function = self.calls[name.path]
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise Damaged(f"{name.path} is called with wrong arguments, {error}") from error
        self.stack.append(function(*arguments))

    def drop_state(self, _):
        self.pop()
        if not self.stack or type(self.stack[-1]) is not OrderedDict:
            raise Refused(f"its pickle sets the state of {text(self.stack[-1]) if self.stack else 'nothing'}")

    def look_up(self, _):
        if self.persistent_load is None:
            raise Damaged("its pickle refers to data outside, where there can be none")
        self.stack.append(self.persistent_load(self.pop()))

    def ignore(self, _):
        """PROTO and FRAME: advice for faster readers."""

    STEPS = {"MARK": mark, "BINPUT": remember, "LONG_BINPUT": remember, "MEMOIZE": remember, "BINGET": recall,
             "LONG_BINGET": recall, "TUPLE": tuple_since_mark, "TUPLE1": tuple1, "TUPLE2": tuple2, "TUPLE3": tuple3,
             "APPEND": append, "APPENDS": extend, "ADDITEMS": add, "SETITEM": set_item, "SETITEMS": set_items,
             "BINSTRING": python2_string, "SHORT_BINSTRING": python2_string, "GLOBAL": name, "STACK_GLOBAL": name_from_stack,
             "REDUCE": call, "BUILD": drop_state, "BINPERSID": look_up, "PROTO": ignore, "FRAME": ignore}
