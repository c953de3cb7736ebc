"""A second reader of trace files, which knows nothing but what docs/trace-file.md and docs/events.md say.

`reader.py FILE` prints the events and losses of FILE, one JSON object a line, as `rmapscope script -j -i FILE` does.
Of a damaged or cut file it prints what comes before the damage, says what is wrong, and ends with status 1.
"""

import ctypes
import itertools
import json
import pathlib
import struct
import sys
import zlib

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/trace-file.md"
MAGIC, FRAME_MAGIC = b"\x8fRMAPS\r\n", b"\xf5RMF"
EVENTS, LOSSES, PROCESSES, STACKS, SUMMARY = range(1, 6)
AS_THEY_ARE, ZSTD, COLUMNS = range(3)
UNKNOWN, UNKNOWN_32, UNKNOWN_SIGNED = b"\xff\xef" + 6 * b"\xff", 0xFFFFFFFF, -(1 << 31)
ALL_BITS, NO_STACK, ENDED_KEPT = (1 << 64) - 1, -1, 1024
NAMES = ("comm", "device_name")
RENAMES = {"process_fork": "child_tid", "process_rename": "target_tid"}
# The kernel's enumerations, by the types whose numbers they name: masks, and values.
MASKS = {"ttu_flags": "ttu_flags", "fault_flags": "fault_flag", "fault_result": "vm_fault_reason"}
VALUES = {"direction": "dma_data_direction", "migrate_mode": "migrate_mode", "migrate_reason": "migrate_reason",
          "refusal_step": None, "refusal_reason": None}
# What a number means that is no usual value of its type.
MEANINGS = {
    "optional_count": {UNKNOWN_32: None}, "mapping_bits": {UNKNOWN_32: None}, "pool_flags": {UNKNOWN_32: None},
    "migrate_source": {UNKNOWN_32: None}, "refusal_reason": {0: None},
    "references": {UNKNOWN_SIGNED: None}, "result": {UNKNOWN_SIGNED: None}, "duration": {0: None}, "object": {0: None},
    "device": {0: None}, "mapping": {ALL_BITS: "error"}, "slot_original": {ALL_BITS: "free"}, "optional_page": {0: "none"}}


def check(condition, message):
    if not condition:
        sys.exit(message)


def from_document(heading):
    """The JSON below a heading of the document."""
    return DOCUMENT.read_text().split(f"# {heading}\n", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]


def read_header(data):
    """The header's object, and where the frames begin."""
    check(data[:8] == MAGIC, "this is no trace file")
    check(len(data) >= 20, "the file is cut in its preamble")
    major, _, length, checksum = struct.unpack_from("<HHII", data, 8)
    check(major == 1, f"version {major} is not known")
    check(length > 4 << 20 or 20 + length <= len(data), "the file is cut in its header")
    check(zlib.crc32(data[:16] + data[20:20 + length]) == checksum, "the file is damaged in its header")
    header = json.loads(data[20:20 + length])
    check(header["event_format"] <= 2, f"records of format {header['event_format']} are not known")
    return header, 20 + length


def frames(data, place):
    """Type, number of items, codec and payload of each frame."""
    kind, events = None, 0
    while place < len(data):
        check(place + 52 <= len(data), f"the file is cut at byte {place}")
        (magic, kind, codec, _, items, raw_length, length, checksum, before, _, _,
         head_checksum) = struct.unpack_from("<4sBBHIIIIQQQI", data, place)
        where = f"the file is damaged at byte {place}"
        check(magic == FRAME_MAGIC and zlib.crc32(data[place:place + 48]) == head_checksum, where)
        check(max(raw_length, length) <= (16 if kind == EVENTS else 4) << 20, f"{where}: a frame is too long")
        check(place + 52 + length <= len(data), f"the file is cut at byte {place}")
        payload = data[place + 52:place + 52 + length]
        check(zlib.crc32(payload) == checksum, f"{where}: checksum of a payload")
        check(before == events, f"{where}: {before} events come before it, but {events} were read")
        events += items if kind == EVENTS else 0
        place += 52 + length
        if EVENTS <= kind <= SUMMARY:
            payload = decompressed(payload, raw_length) if codec == ZSTD else payload
            check(len(payload) == raw_length and codec <= COLUMNS, f"{where}: a payload")
            yield kind, items, codec, payload
    check(kind == SUMMARY, "the recording did not end in order: the file has no summary")


def decompressed(payload, length):
    decompress, size = ctypes.CDLL("libzstd.so.1").ZSTD_decompress, ctypes.c_size_t
    decompress.restype, decompress.argtypes = size, (ctypes.c_void_p, size, ctypes.c_char_p, size)
    out = ctypes.create_string_buffer(length)
    return out.raw if decompress(out, length, payload, len(payload)) == length else b""


class Payload:
    """Takes the payload of a frame of events apart, from its beginning to its end."""

    def __init__(self, data):
        self.data, self.place = data, 0

    def bytes(self, length):
        self.place += length
        check(self.place <= len(self.data), "the file is damaged: a payload ends early")
        return self.data[self.place - length:self.place]

    def take(self, form):
        return struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)))

    def column(self, count):
        (previous,), values, listed = self.take("Q"), [], []
        while len(values) < count:
            values += self.block(min(64, count - len(values)), previous, listed)
            previous = values[-1]
        return values

    def block(self, count, previous, listed):
        (head,) = self.take("B")
        form, width = head >> 6, (head & 63) + 1
        if form == 0:
            return [previous] * count
        # How many values come to the list, or else how far the numbers are shifted.
        (shift,) = self.take("B")
        if form == 2:
            listed += self.take(f"{shift}Q")
        bits, mask = int.from_bytes(self.bytes((count * width + 7) // 8), "little"), (1 << width) - 1
        numbers = [bits >> index * width & mask for index in range(count)]
        if form == 2:
            check(max(numbers) < len(listed) <= 128, "the file is damaged: a list")
            return [listed[number] for number in numbers]
        check(width + shift <= 64, "the file is damaged: a number is too wide")
        if form == 3:
            return [previous & ~(mask << shift) | number << shift for number in numbers]
        unzigzag = (number << shift >> 1 ^ -((number << shift) & 1) for number in numbers)
        return [value & ALL_BITS for value in itertools.accumulate(unzigzag, initial=previous)][1:]

    def columns(self, items, sizes):
        """The records of columns, in the order of the stream."""
        kinds, runs = self.take("HI")
        table = [self.take("HI") for _ in range(kinds)]
        size = sum(sizes.get(number, ALL_BITS) * count for number, count in table)
        check(size <= 16 << 20, "the file is damaged: too many records in a frame, or a kind that has no size")
        places, lengths, records = self.column(runs), self.column(runs), []
        for number, count in table:
            words = [self.column(count) for _ in range(sizes[number] // 8)]
            records.append(iter([struct.pack(f"<{len(words)}Q", *values) for values in zip(*words)]))
        check(max(places) < kinds and sum(lengths) == items, "the file is damaged: runs")
        return [record for place, length in zip(places, lengths) for record in itertools.islice(records[place], length)]

    def as_they_are(self, items, sizes):
        heads = (self.bytes(24) for _ in range(items))
        return [head + self.bytes(sizes.get(struct.unpack_from("<H", head, 16)[0], ALL_BITS) - 24) for head in heads]


def text(data):
    return data.split(b"\0", 1)[0].decode(errors="replace")


def flags(names, number, rest_shown=True):
    rest = number & ~sum(1 << bit for bit in names)
    return [names[bit] for bit in sorted(names) if number >> bit & 1] + ([hex(rest)] if rest and rest_shown else [])


class Stream:
    """Makes objects of records, with what the header says of the kernel and the stream of threads and devices."""

    def __init__(self, header):
        self.kernel = header["kernel"]
        listed = map(json.loads, from_document("Kinds of format 2").splitlines())
        format_2 = {kind["number"]: kind for kind in listed} if header["event_format"] == 2 else {}
        self.kinds = {kind["number"]: format_2.get(kind["number"], {}) | kind for kind in header["kinds"]}
        constants = json.loads(from_document("Names that no file has"))
        self.names = {table: {number: name for name, number in names.items()} for table, names in constants.items()}
        self.threads, self.devices, self.ended, self.left_out = {}, {}, [], 0

    def table(self, name):
        # Reversed, so that of several names of a number the first is left.
        return {entry["value"]: entry["name"] for entry in reversed(self.kernel["enums"].get(name, []))}

    def pfn(self, page):
        base, size = self.kernel.get("vmemmap_base"), self.kernel.get("struct_page_size")
        known = base is not None and size and page >= base and (page - base) % size == 0
        return hex((page - base) // size) if known else None

    def page_flags(self, number):
        listed = [(flag["value"], flag["name"][3:]) for flag in self.kernel["page_flags"]
                  if flag["name"][:3] == "PG_" and flag["value"] in range(64)]
        if any(name == "swapbacked" and number >> bit & 1 for bit, name in listed):
            listed = [pair for pair in listed if pair[1] in ("swapcache", "anon_exclusive")] + listed
        return flags(dict(reversed(listed)), number, rest_shown=False) if listed else None

    def entry(self, raw):
        layout, shown = self.kernel.get("entry_format"), {"kind": "none", "raw": hex(raw)}
        if not layout or not raw:
            return shown if layout else None
        if raw & layout["present_mask"]:
            return shown | {"kind": "present", "pfn": self.present_pfn(raw)}
        number = raw >> layout["type_shift"] & layout["type_mask"]
        kind = {listed["number"]: listed["kind"] for listed in self.kernel["swap_types"]}.get(number, "swap")
        stored = raw ^ ALL_BITS if layout["invert"] else raw
        pfn = hex((stored << layout["up"] & ALL_BITS) >> layout["down"] & layout["pfn_mask"])
        bits = {name: raw & layout.get(f"{name}_mask", 0) != 0 for name in ("soft_dirty", "uffd_wp")}
        has_pfn = kind not in ("pte_marker", "swapin_error", "swap")
        return shown | {"kind": kind, "swap_type": number, "pfn": pfn if has_pfn else None} | bits

    def present_pfn(self, entry):
        layout = self.kernel["entry_format"].get("present", {"pfn_mask": 0})
        upright, mask = layout.get("inverted_without", 0), layout["pfn_mask"]
        stored = entry ^ ALL_BITS if upright and not entry & upright else entry
        address = stored & mask | (stored & layout.get("high_mask", 0)) << layout.get("high_shift", 0)
        return hex(address // (mask & -mask)) if mask else None

    def value(self, kind, number):
        """What a field of that type shows; `number` is the member's bytes where they are a name."""
        if number in MEANINGS.get(kind, {}):
            return MEANINGS[kind][number]
        if kind in MASKS:
            table = self.table(MASKS[kind])
            bits = {mask.bit_length() - 1: name for mask, name in table.items() if mask > 0 and mask.bit_count() == 1}
            return flags(bits, number) if table else hex(number)
        if kind in VALUES:
            return (self.table(VALUES[kind]) or self.names.get(kind, {})).get(number, number)
        if kind in self.names:
            return flags(self.names[kind], number)
        shown = dict.fromkeys(("hex", "object", "mapping", "slot_original"), hex) | dict.fromkeys(
            ("id", "count", "bytes", "order", "optional_count", "references", "result", "duration"), int) | {
            "page": self.pfn, "optional_page": self.pfn, "page_flags": self.page_flags, "entry": self.entry,
            "comm": text, "device_name": text, "device": lambda number: self.devices.get(number, hex(number)),
            "truth": bool, "walk_result": lambda number: "continue" if number else "stop",
            "mapping_bits": lambda number: ("file", "anon", "movable", "ksm")[number & 3],
            "exit_status": lambda number: number >> 8 & 0xFF, "exit_signal": lambda number: number & 0x7F}
        check(kind in shown, f"fields of the type {kind} are not known")
        return shown[kind](number)

    def follow(self, event, thread, members):
        """Takes the names that an event gives."""
        numbers = {name: int.from_bytes(data, "little") for name, data in members.items()}
        if event in RENAMES:
            self.name(numbers[RENAMES[event]], members["comm"])
        elif event == "process_exec":
            if numbers["old_tid"] != thread:
                self.threads.pop(numbers["old_tid"], None)
            self.name(thread, members["comm"])
        elif event == "process_exit":
            self.ended.append(thread)
            if len(self.ended) > ENDED_KEPT:
                self.threads.pop(self.ended.pop(0), None)
        elif event == "device_name":
            self.devices[numbers["device"]] = text(members["name"])

    def name(self, thread, comm):
        self.threads[thread] = text(comm)
        self.ended = [ended for ended in self.ended if ended != thread]

    def event(self, record):
        time, tid, pid, number, cpu, stack = struct.unpack_from("<QIIHHi", record)
        kind = self.kinds[number]
        if "fields" not in kind:
            self.left_out += 1
            return
        members = {name: record[24 + offset:24 + offset + size] for name, offset, size in kind["members"]}
        self.follow(kind["name"], tid, members)
        comm = self.threads.get(tid) if tid else f"swapper/{cpu}"
        shown = {"type": "event", "time": time, "cpu": cpu, "comm": comm, "pid": pid, "tid": tid, "event": kind["name"]}
        if stack != NO_STACK:
            shown |= self.field("stack", "result", record[20:24])
        for name, _, field_type, member in kind["fields"]:
            shown |= self.field(name, field_type, members[member])
        yield shown

    def field(self, name, kind, data):
        number = int.from_bytes(data, "little", signed=kind in ("references", "result"))
        shown = {name: None if data == UNKNOWN else self.value(kind, data if kind in NAMES else number)}
        error = self.names["errno"].get(-number) if kind == "result" else None
        return shown | ({f"{name}_errno": error} if error else {})

    def line(self, kind, line):
        if kind == PROCESSES:
            self.name(line["tid"], line["comm"].encode()[:15])
        if kind == LOSSES:
            times = {name: line[name] if line["before"] != ALL_BITS else None for name in ("after", "before")}
            names = {"cause": line["cause"], "family": self.names["family"].get(line["family"])}
            yield {"type": "loss", "count": line["count"]} | names | times


def read(path):
    """Every event and loss of a file, as `script` shows it."""
    data = pathlib.Path(path).read_bytes()
    header, place = read_header(data)
    stream, sizes = Stream(header), {kind["number"]: kind["size"] for kind in header["kinds"]}
    for kind, count, codec, payload in frames(data, place):
        if kind == EVENTS:
            payload = Payload(payload)
            items = (payload.as_they_are if codec == AS_THEY_ARE else payload.columns)(count, sizes)
            check(payload.place == len(payload.data), "the file is damaged: bytes behind the last record")
        else:
            items = payload.splitlines()
        check(len(items) == count, "the file is damaged: a frame has not as many items as it says")
        for item in items:
            yield from stream.event(item) if kind == EVENTS else stream.line(kind, json.loads(item))
    if stream.left_out:
        print(f"{stream.left_out} records are of kinds that are not known", file=sys.stderr)


if __name__ == "__main__":
    for found in read(sys.argv[-1]):
        print(json.dumps(found))
