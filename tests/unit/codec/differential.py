#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our protobuf and ProtoJSON with Google's, on random and on damaged messages.

    differential.py <differential program> <descriptor set> [rounds] [seed]

Exit code 77, and a line that says so, when python3-protobuf is not installed.
"""
import json
import math
import os
import random
import re
import subprocess
import sys
import warnings

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
    from google.protobuf.descriptor import FieldDescriptor as F
    from google.protobuf.message import DecodeError
except ImportError:
    print("SKIPPED: python3-protobuf is not installed, nothing was compared with it")
    sys.exit(77)

TYPES = ["Scalars", "Optionals", "Lists", "Maps", "Choice", "Tree", "Sparse", "WellKnown",
         "Secrets", "Names", "Old", "Legacy", "Medium",
         "Keys", "Importing", "Words2"]
WORDS = ["", "a", "plain", "ä", "日本語", "😀", "\x00", "\"quoted\"\\/", "line\nbreak\t", "\x7f\u2028",
         "x" * 200]


def load(path):
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        files.ParseFromString(f.read())
    for file in files.file:
        pool.Add(file)
    return pool


class Ours:
    def __init__(self, program, descriptors):
        self.pipe = subprocess.Popen([program, descriptors], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)

    def ask(self, op, tables, name, data):
        self.pipe.stdin.write(f"{op} {tables} neo.test.v1.{name} {data.hex()}\n")
        self.pipe.stdin.flush()
        code, _, rest = self.pipe.stdout.readline().rstrip("\n").partition(" ")
        if code == "":
            print(f"our program died on {op} {tables} {name} {data.hex()}")
            sys.exit(1)
        return (bytes.fromhex(rest), None) if code == "ok" else (None, f"{code} {rest}")


class Maker:
    """Random messages."""

    def __init__(self, rng, pool, factory):
        self.rng, self.pool, self.factory = rng, pool, factory

    def integer(self, low, high):
        edges = [low, high, 0, 1, high - 1, low + 1, 127, 128]
        if self.rng.random() < 0.4:
            value = self.rng.choice(edges)
        else:
            value = self.rng.randrange(low, high + 1) >> self.rng.randrange(0, 64)
        return min(max(value, low), high)

    def scalar(self, field):
        rng, t = self.rng, field.type
        if t in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
            return rng.choice([0.0, -0.0, 1.5, 0.1, 1e300 if t == F.TYPE_DOUBLE else 1e30, -1e-30,
                               math.nan, math.inf, -math.inf, rng.uniform(-1e6, 1e6), 16777217.0,
                               3.0, 5e-324])
        if t in (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64):
            return self.integer(-2**63, 2**63 - 1)
        if t in (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32):
            return self.integer(-2**31, 2**31 - 1)
        if t in (F.TYPE_UINT64, F.TYPE_FIXED64):
            return self.integer(0, 2**64 - 1)
        if t in (F.TYPE_UINT32, F.TYPE_FIXED32):
            return self.integer(0, 2**32 - 1)
        if t == F.TYPE_BOOL:
            return rng.random() < 0.5
        if t == F.TYPE_STRING:
            return rng.choice(WORDS)
        if t == F.TYPE_BYTES:
            return rng.randbytes(rng.randrange(0, 20))
        values = [v.number for v in field.enum_type.values]
        open_enum = field.enum_type.file.syntax == "proto3" and field.enum_type.name != "NullValue"
        return rng.choice(values + ([12345, -7] if open_enum else []))

    def value(self, message, depth):
        kind = self.rng.randrange(0, 6 if depth < 4 else 4)
        if kind == 0:
            message.null_value = 0
        elif kind == 1:
            message.number_value = self.rng.choice([0, 1.5, -1e20, 12345678])
        elif kind == 2:
            message.string_value = self.rng.choice(WORDS)
        elif kind == 3:
            message.bool_value = self.rng.random() < 0.5
        elif kind == 4:
            message.struct_value.SetInParent()
            self.struct(message.struct_value, depth + 1)
        else:
            message.list_value.SetInParent()
            for _ in range(self.rng.randrange(0, 3)):
                self.value(message.list_value.values.add(), depth + 1)

    def struct(self, message, depth):
        for _ in range(self.rng.randrange(0, 3)):
            self.value(message.fields[self.rng.choice(WORDS)], depth + 1)

    def any(self, message):
        name = self.rng.choice(["Scalars", "Choice", "Nothing", "Maps"])
        known = ["google.protobuf.Duration", "google.protobuf.StringValue", "google.protobuf.Struct"]
        full = self.rng.choice(["neo.test.v1." + name] * 3 + known)
        inner = self.factory.GetPrototype(self.pool.FindMessageTypeByName(full))()
        self.fill(inner, 3)
        message.type_url = self.rng.choice(["type.googleapis.com/", "x/"]) + full
        message.value = inner.SerializeToString()

    def special(self, message, depth):
        """Well-known types hold only what JSON can say; false for other types."""
        name = message.DESCRIPTOR.full_name
        rng = self.rng
        if name == "google.protobuf.Timestamp":
            message.seconds = rng.choice([0, 1767225600, -62135596800, 253402300799,
                                          rng.randrange(-62135596800, 253402300799)])
            message.nanos = rng.choice([0, 1, 500000000, 123000, 999999999])
        elif name == "google.protobuf.Duration":
            message.Clear()
            sign = rng.choice([1, -1])
            message.seconds = sign * rng.choice([0, 1, 315576000000, rng.randrange(0, 10**9)])
            if abs(message.seconds) < 315576000000:
                message.nanos = sign * rng.choice([0, 1, 500000000, 123000, 999999999])
        elif name == "google.protobuf.FieldMask":
            message.paths.extend(rng.sample(["a", "foo_bar", "x.y_z", "n1"], rng.randrange(0, 4)))
        elif name == "google.protobuf.Value":
            self.value(message, depth)
        elif name == "google.protobuf.Struct":
            self.struct(message, depth)
        elif name == "google.protobuf.Any":
            self.any(message)
        else:
            return False
        return True

    def fill(self, message, depth=0):
        if self.special(message, depth):
            return
        for field in message.DESCRIPTOR.fields:
            needed = field.label == F.LABEL_REQUIRED
            if not needed and self.rng.random() < (0.5 if depth < 2 else 0.8):
                continue
            target = getattr(message, field.name)
            if field.label == F.LABEL_REPEATED:
                self.fill_repeated(target, field, depth)
            elif field.type in (F.TYPE_MESSAGE, F.TYPE_GROUP):
                if depth < 5:
                    target.SetInParent()
                    self.fill(target, depth + 1)
            else:
                setattr(message, field.name, self.scalar(field))

    def fill_repeated(self, target, field, depth):
        for _ in range(self.rng.randrange(0, 4 if depth < 4 else 1)):
            if field.type not in (F.TYPE_MESSAGE, F.TYPE_GROUP):
                target.append(self.scalar(field))
            elif not field.message_type.GetOptions().map_entry:
                self.fill(target.add(), depth + 1)
            else:
                key = self.scalar(field.message_type.fields_by_name["key"])
                value = field.message_type.fields_by_name["value"]
                if value.type == F.TYPE_MESSAGE:
                    self.fill(target[key], depth + 1)
                else:
                    target[key] = self.scalar(value)


class Comparison:
    def __init__(self, ours, pool, rng):
        self.ours, self.pool, self.rng = ours, pool, rng
        self.factory = message_factory.MessageFactory(pool)
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def canonical(self, message):
        """The bytes that equal messages have in common: maps sorted, also within an Any."""
        if message.DESCRIPTOR.name == "WellKnown":
            copy = self.new("WellKnown")
            copy.CopyFrom(message)
            for any in list(copy.anys) + [copy.any]:
                name = any.type_url.rpartition("/")[2]
                try:
                    inner = self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        inner.ParseFromString(any.value)
                except (DecodeError, KeyError):
                    continue  # damaged: just bytes
                any.value = inner.SerializeToString(deterministic=True)
            message = copy
        return message.SerializePartialToString(deterministic=True)

    def new(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName("neo.test.v1." + name))()

    def fail(self, what, name, detail):
        print(f"DIFFERENT: {what} of {name}: {detail}")
        sys.exit(1)

    def get(self, op, tables, name, data):
        answer, error = self.ours.ask(op, tables, name, data)
        if error:
            self.fail(op, name, f"{error} for {data.hex()} {data[:300]!r}")
        return answer

    def same(self, what, name, wire, message):
        back = self.new(name)
        back.ParseFromString(wire)
        if self.canonical(back) != self.canonical(message):
            self.fail(what, name, f"\n  theirs {self.canonical(message).hex()}\n  ours   {wire.hex()}")
        self.count(what)

    def has_maps(self, name):
        return name in ("Maps", "Tree", "WellKnown", "Legacy", "Medium",
                        "Keys", "Words2")

    def good(self, name, message):
        wire = self.canonical(message)
        tables = self.rng.choice(["generated", "runtime"])
        answer = self.get("wire", tables, name, wire)
        self.same("wire", name, answer, message)
        if not self.has_maps(name) and answer != wire:
            self.fail("bytes", name, f"\n  theirs {wire.hex()}\n  ours   {answer.hex()}")
        for op in ("json", "pretty", "defaults"):
            text = self.get(op, tables, name, wire).decode()
            try:
                back = json_format.Parse(text, self.new(name), descriptor_pool=self.pool)
            except json_format.ParseError as e:
                self.fail(op, name, f"{e}: {text}")
            self.same(op, name, self.canonical(back), message)
        theirs = json_format.MessageToJson(message, descriptor_pool=self.pool)
        ours = self.get("json", tables, name, wire).decode()
        if json.loads(ours) != json.loads(theirs):
            self.fail("json text", name, f"\n  theirs {theirs}\n  ours   {ours}")
        self.same("parse", name, self.get("parse", tables, name, theirs.encode()), message)

    def damage(self, data):
        data = bytearray(data)
        for _ in range(self.rng.randrange(1, 4)):
            if not data:
                break
            at = self.rng.randrange(0, len(data))
            how = self.rng.randrange(0, 4)
            if how == 0:
                data[at] = self.rng.randrange(0, 256)
            elif how == 1:
                data[at] ^= 1 << self.rng.randrange(0, 8)
            elif how == 2:
                del data[at:at + self.rng.randrange(1, 5)]
            else:
                data[at:at] = self.rng.randbytes(self.rng.randrange(1, 4))
        return bytes(data)

    # We are stricter than Google here, and only here.
    # (Into the values of maps they do not look for required fields.)
    STRICTER = ("cut off or malformed", "its message lacks required fields", "and missing", "is not UTF-8",
                "tag is cut off or malformed")

    def bad_wire(self, name, message):
        wire = self.damage(message.SerializeToString())
        theirs = self.new(name)
        with warnings.catch_warnings(record=True) as partly:
            warnings.simplefilter("always")
            try:
                theirs.ParseFromString(wire)
                # "not all data was converted" is a refusal, and a field that lacks, too
                accepted = not partly and theirs.IsInitialized()
            except DecodeError:
                accepted = False
        answer, error = self.ours.ask("wire", "generated", name, wire)
        if error and accepted:
            if not any(s in error for s in self.STRICTER):
                self.fail("damaged wire", name, f"we refuse: {error}: {wire.hex()}")
            self.count("damaged: only we refuse")
        elif not error and not accepted:
            self.fail("damaged wire", name, f"only they refuse: {wire.hex()}")
        elif not error:
            # What they understood, and what they did not and keep as it is.
            back = self.new(name)
            back.ParseFromString(self.get("wire", "generated", name, self.canonical(theirs)))
            self.same("damaged: both accept, the same", name, answer, back)
        else:
            self.count("damaged: both refuse")

    def bad_json(self, name, message):
        text = self.damage(json_format.MessageToJson(
            message, indent=None, descriptor_pool=self.pool).encode())
        theirs, reason = self.new(name), None
        try:
            json_format.Parse(text.decode(), theirs, descriptor_pool=self.pool)
            wire = self.canonical(theirs)
        except Exception as e:  # their parser lets many kinds escape
            reason = e
        answer, error = self.ours.ask("parse", "generated", name, text)
        if not error and reason is None and re.search(rb"-0+[^.0-9]", text):
            self.count("damaged json: a zero whose sign they lose")
        elif not error and reason is None:
            self.same("damaged json: both accept", name, answer, theirs)
        elif not error:
            self.count(f"damaged json: only they refuse")
            self.only_they(name, text, reason)
        else:
            self.count("damaged json: " + ("both refuse" if reason else "only we refuse"))

    # What a value of JSON may be turned into: other forms of the same, and other things.
    FORMS = [None, True, False, 0, 1, -1, 1.0, 1.5, 1e2, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, 1e40,
             "", "1", "-1", "1.0", "1e2", "1.5", " 1", "1 ", "+1", "0x1", "01", "NaN", "Infinity",
             "-Infinity", "nan", "true", "false", "RED", "red", "GOOD", "AA==", "AA", "-_8=", "=",
             "1s", "-0.5s", "1.0000000001s", "1", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.5+01:00",
             "1970-01-01", "a,bC", "a_b", [], [1], ["1", None], {}, {"1": 1}, {"": ""}, {"true": True}]

    def bend(self, value):
        """Exchanges one value or key somewhere in it."""
        if isinstance(value, dict) and value and self.rng.random() < 0.9:
            key = self.rng.choice(list(value))
            if self.rng.random() < 0.1:
                value[self.rng.choice([key.upper(), key + "x", "1", "-1", "01", ""])] = value.pop(key)
            else:
                value[key] = self.bend(value[key])
            return value
        if isinstance(value, list) and value and self.rng.random() < 0.9:
            at = self.rng.randrange(len(value))
            value[at] = self.bend(value[at])
            return value
        return self.rng.choice(self.FORMS)

    def bent_json(self, name, message):
        text = json.dumps(self.bend(json_format.MessageToDict(message, descriptor_pool=self.pool)))
        theirs, reason = self.new(name), None
        try:
            json_format.Parse(text, theirs, descriptor_pool=self.pool)
            self.canonical(theirs)
            if not theirs.IsInitialized():
                reason = "not initialized"
        except Exception as e:  # their parser lets many kinds escape
            reason = e
        answer, error = self.ours.ask("parse", "generated", name, text.encode())
        if not error and reason is None:
            self.same("bent json: both accept", name, answer, theirs)
        elif not error:
            self.count("bent json: only they refuse")
            self.only_they(name, text.encode(), reason)
        elif reason is None:
            self.count("bent json: only we refuse")
            self.only_we(name, text, error)
        else:
            self.count("bent json: both refuse")

    # Reasons of ours that are not theirs: see docs/design/codec.md.
    OURS = ("is not a number", "is out of range", "is not a whole number", "is not base64",
            "is not a value of the enum", "where a number should be", "where a string should be",
            "where true or false should be", "where an array should be", "where an object should be",
            "is not a duration", "is not a time", "path in lower camel case", "are the same number",
            "is neither true nor false", "too sensitive to be quoted", "another field of the same oneof", "under both of its names")

    def only_we(self, name, text, error):
        if not any(s in error for s in self.OURS):
            self.fail("bent json", name, f"only we refuse: {text!r}: {error}")

    # Reasons of theirs that are not ours.
    THEIRS = ("is not in range", "Enum value", "surrogate", "out of range", "Failed to parse")

    def only_they(self, name, text, reason):
        if not any(s in str(reason) for s in self.THEIRS):
            self.fail("damaged json", name, f"only they refuse: {text.decode()!r}: {reason!r}")


def main():
    program, descriptors = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    pool = load(descriptors)
    ours = Ours(program, descriptors)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libprotobuf complains there of each bad string
    sys.stderr = sys.stdout
    comparison = Comparison(ours, pool, rng)
    maker = Maker(rng, pool, comparison.factory)
    for i in range(rounds):
        name = TYPES[i % len(TYPES)]
        message = comparison.new(name)
        maker.fill(message)
        comparison.good(name, message)
        for _ in range(4):
            comparison.bad_wire(name, message)
            comparison.bad_json(name, message)
            comparison.bent_json(name, message)
    for what, n in sorted(comparison.counts.items()):
        print(f"{n:8} {what}")


if __name__ == "__main__":
    main()
