# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables for editors, as commands of gdb's machine interface.

gdb's own (-stack-list-variables with types, -var-create) print the name of a struct the C++ way: they look for
a variable of that name first, and read the debug information of every file that knows the struct to find that
there is none. With a kernel's vmlinux that is nearly all of it, and a minute. Here types print themselves raw.

    -dv-locals                   of the frame that --frame names
    -dv-children NUMBER          what is in a value that was shown before
    -dv-evaluate EXPRESSION
    -dv-place NUMBER NAME        where a value lies, as an expression that holds everywhere; NUMBER 0: NAME is
                                 an expression

Each value is {name, value, type, number, expression}; number is 0 when there is nothing inside.
"""
import re

import gdb

MAX_CHILDREN = 1000
MAX_WATCHED_BYTES = 64
SIMPLE = re.compile(r'[\w$.\[\]>:-]+')
STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)


class Shown:
    """Values that have parts, by number, until the guest moves: (value, expression, sign of its members)."""
    values = {}
    last = 0

    @staticmethod
    def add(value, expression, sign):
        Shown.last += 1
        Shown.values[Shown.last] = (value, expression, sign)
        return Shown.last

    @staticmethod
    def get(number):
        if number not in Shown.values:
            raise gdb.GdbError('the guest has moved since: ask for the variables again')
        return Shown.values[number]

    @staticmethod
    def forget(_=None):
        Shown.values.clear()


def bare(type_):
    return type_.strip_typedefs()


def has_parts(value):
    type_ = bare(value.type)
    if type_.code == gdb.TYPE_CODE_PTR:
        target = bare(type_.target())
        return target.code not in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC) and target.sizeof > 1 and int(value) != 0
    return type_.code in STRUCTS or type_.code == gdb.TYPE_CODE_ARRAY


def text(value):
    type_ = bare(value.type)
    if value.is_optimized_out:
        return '<optimized out>'
    if type_.code in STRUCTS:
        return '{...}'
    if type_.code == gdb.TYPE_CODE_ARRAY and bare(type_.target()).sizeof > 1:
        return '[%d]' % (type_.range()[1] - type_.range()[0] + 1)
    return re.sub(r'(\\000)+"$', '"', value.format_string(max_elements=200))


def shown(name, value, expression, sign='.'):
    row = {'name': name, 'expression': expression, 'number': '0', 'type': str(value.type)}
    try:
        row['value'] = text(value)
        if not value.is_optimized_out and has_parts(value):
            row['number'] = str(Shown.add(value, expression, sign))
    except gdb.error as e:
        row['value'] = '<%s>' % e
    return row


def in_brackets(expression):
    return expression if SIMPLE.fullmatch(expression) else '(%s)' % expression


def fields(value, expression, sign):
    for field in bare(value.type).fields():
        if field.name:
            yield field.name, value[field], in_brackets(expression) + sign + field.name
        else:  # its members are the outer one's, in C
            kind = 'union' if bare(field.type).code == gdb.TYPE_CODE_UNION else 'struct'
            yield '<anonymous %s>' % kind, value[field], expression, sign


def elements(value, expression):
    first, last = bare(value.type).range()
    for i in range(first, min(last, first + MAX_CHILDREN - 1) + 1):
        yield '[%d]' % i, value[i], '%s[%d]' % (in_brackets(expression), i)


def children(value, expression, sign):
    """(name, value, expression) of each part, and the sign of its members where that is another."""
    type_ = bare(value.type)
    if type_.code == gdb.TYPE_CODE_ARRAY:
        return elements(value, expression)
    if type_.code != gdb.TYPE_CODE_PTR:
        return fields(value, expression, sign)
    pointed = value.dereference()
    if bare(pointed.type).code in STRUCTS:
        return fields(pointed, expression, '->')
    return iter([('*' + expression, pointed, '*' + in_brackets(expression))])


def locals_of(frame):
    """The innermost block's first; one that it hides is not shown."""
    try:
        block = frame.block()
    except RuntimeError:  # no debug information
        return
    seen = set()
    while block and not block.is_static and not block.is_global:
        for symbol in block:
            if (symbol.is_variable or symbol.is_argument) and symbol.name not in seen:
                seen.add(symbol.name)
                yield symbol
        if block.function:
            break
        block = block.superblock


def place(value):
    """An expression for what lies there, that holds in other frames and when the guest has moved."""
    if value.address is None:
        raise gdb.GdbError('it is in a register, which cannot be watched')
    type_, at = bare(value.type), int(value.address)
    if type_.sizeof > MAX_WATCHED_BYTES:
        raise gdb.GdbError('it has %d bytes: watch a member of it' % type_.sizeof)
    if type_.code in STRUCTS or type_.code == gdb.TYPE_CODE_ARRAY:
        return '*(unsigned char (*)[%d]) %#x' % (type_.sizeof, at)
    return '*(%s *) %#x' % ('void *' if type_.code == gdb.TYPE_CODE_PTR else str(type_.unqualified()), at)


class Command(gdb.MICommand):
    """gdb's errors as they are, without a word of where in Python they came from."""

    def invoke(self, argv):
        try:
            return self.answer(argv)
        except gdb.error as e:
            raise gdb.GdbError(str(e))


class Locals(Command):
    def answer(self, argv):
        frame = gdb.selected_frame()
        rows = []
        for symbol in locals_of(frame):
            try:
                rows.append(shown(symbol.name, symbol.value(frame), symbol.name))
            except gdb.error as e:
                rows.append({'name': symbol.name, 'value': '<%s>' % e, 'expression': symbol.name, 'number': '0'})
        return {'variables': rows}


class Children(Command):
    def answer(self, argv):
        return {'variables': [shown(*part) for part in children(*Shown.get(int(argv[0])))]}


class Evaluate(Command):
    def answer(self, argv):
        return {'variable': shown(argv[0], gdb.parse_and_eval(argv[0]), argv[0])}


class Place(Command):
    def answer(self, argv):
        if argv[0] == '0':
            return {'place': place(gdb.parse_and_eval(argv[1]))}
        for part in children(*Shown.get(int(argv[0]))):
            if part[0] == argv[1]:
                return {'place': place(part[1])}
        raise gdb.GdbError('there is no %s in it' % argv[1])


Locals('-dv-locals')
Children('-dv-children')
Evaluate('-dv-evaluate')
Place('-dv-place')
gdb.events.cont.connect(Shown.forget)
gdb.events.stop.connect(Shown.forget)
