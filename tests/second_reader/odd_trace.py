"""Makes a trace file of what recordings hardly have, for both readers to read.

`odd_trace.py [--bare] RECORDING OUT`: records of every kind, with numbers in every member that are unknown, errors,
unnamed bits and the like; losses of each cause; names that are no names. They are as they are (codec 0). The header
is that of RECORDING, and lists the members of the kinds and every kind of swap entry; with `--bare` it says next to
nothing of the kernel instead. The same numbers every time.
"""

import json
import pathlib
import random
import struct
import sys
import zlib

import reader

MEANINGFUL = (0, 1, 2, 3, 0xFFFFFFFF, 1 << 31, reader.ALL_BITS, int.from_bytes(reader.UNKNOWN, "little"))
TEXTS = (b"", b"0123456789abcdef", b"a\\b\"\n\x1b", "naïve\u2028".encode(), b"\xff\xc3 \xe2\x82", b"ends\0here")
SWAP_KINDS = ("hwpoison", "migration_read", "migration_read_exclusive", "migration_write", "device_write", "device_read",
              "device_exclusive_write", "device_exclusive_read", "pte_marker", "swapin_error")
# So few that names change.
THREADS = 5
ROUNDS = 100


def frame(kind, items, payload, events):
    lengths = len(payload), len(payload)
    head = struct.pack("<4sBBHIIIIQQQ", reader.FRAME_MAGIC, kind, reader.AS_THEY_ARE, 0, items, *lengths,
                       zlib.crc32(payload), events, 0, 0)
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def lines(kind, objects, events=0):
    return frame(kind, len(objects), "".join(json.dumps(line) + "\n" for line in objects).encode(), events)


def member(chance, name, size, base):
    if size > 8:
        return chance.choice(TEXTS)[:size].ljust(size, b"\0")
    if name == "device" or name.endswith("tid"):
        return chance.randrange(THREADS).to_bytes(size, "little")
    few_bits = chance.getrandbits(64) & chance.getrandbits(64) & chance.getrandbits(64)
    number = chance.choice((
        chance.choice(MEANINGFUL), chance.choice(MEANINGFUL), chance.randrange(12), -chance.randrange(530), few_bits, chance.getrandbits(64),
        # Pages, and addresses between them; entries that are not present.
        base + 64 * chance.randrange(1 << 30) + chance.choice((0, 0, 8)), chance.getrandbits(64) & ~0x101))
    return (number & (1 << 8 * size) - 1).to_bytes(size, "little")


def record(chance, kind, base):
    thread, stack = chance.randrange(THREADS), chance.choice((-1, 5, -12, -1000))
    head = struct.pack("<QIIHHi", chance.randrange(1 << 40), thread, thread, kind["number"], chance.randrange(4), stack)
    return head + b"".join(member(chance, name, size, base) for name, _, size in kind["members"])


def change(kernel, bare):
    """What the header says of the kernel."""
    kernel["page_flags"] += [{"name": "PG_beyond", "value": 64}, {"name": "no_flag", "value": 40}]
    kernel["swap_types"] = [{"number": 31 - place, "kind": kind} for place, kind in enumerate(SWAP_KINDS)]
    if bare:
        kernel |= {"page_flags": [], "swap_types": [], "enums": {"ttu_flags": []}}
        del kernel["vmemmap_base"], kernel["entry_format"]["present"], kernel["entry_format"]["uffd_wp_mask"]


def main():
    recording, out = sys.argv[-2:]
    chance = random.Random(1)
    header, _ = reader.read_header(pathlib.Path(recording).read_bytes())
    header["kinds"] = [json.loads(line) for line in reader.from_document("Kinds of format 2").splitlines()]
    base = header["kernel"]["vmemmap_base"]
    change(header["kernel"], "--bare" in sys.argv)
    records = [record(chance, kind, base) for kind in header["kinds"] for _ in range(ROUNDS)]
    chance.shuffle(records)
    losses = [{"cause": cause, "family": family, "count": 3, "after": 5, "before": before}
              for cause in ("lost", "missed", "dropped") for family in (None, *range(8)) for before in (7, reader.ALL_BITS)]
    names = ("idle", "kworker/1:2-events_unbound", "fourteen bytesé", "a\0b")
    threads = [{"pid": 9, "tid": thread, "parent": 0, "comm": name} for thread, name in enumerate(names)]
    counts = ("events", "emitted", "lost", "missed", "dropped", "unpaired", "hits")
    summary = dict.fromkeys(counts, {}) | {"stacks_lost": 0, "begin": 0, "end": 9, "reason": "made up"}
    text = json.dumps(header).encode()
    preamble = reader.MAGIC + struct.pack("<HHI", 1, 0, len(text))
    pathlib.Path(out).write_bytes(b"".join([
        preamble, struct.pack("<I", zlib.crc32(preamble + text)), text,
        lines(reader.PROCESSES, threads), frame(reader.EVENTS, len(records), b"".join(records), 0),
        # Of a type that no version has.
        frame(200, 3, b"???", len(records)),
        lines(reader.LOSSES, losses, len(records)), lines(reader.SUMMARY, [summary], len(records))]))


main()
