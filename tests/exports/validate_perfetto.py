"""Perfetto: read by the format's own descriptors, following the rules by which trace_processor reads.

* No field is unknown to the descriptors.
* The clock is told before the first time; every number of a name, a string or a stack was interned since the state
  was cleared, every track described before it is used, its parent before it.
* Sorted by time, packets of the same time as they come, beginnings and ends on every track are a stack, and a slice
  that ends is the call it began as: its length is the call's duration.
* Every event is there with its time, process, thread, CPU, fields and stack.
"""

import collections

from google.protobuf import unknown_fields
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto

from common import check_equal, counts_of, fail, main

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
CLEARED, NEEDED = 1, 2
REALTIME, MONOTONIC = 1, 3
TABLES = (
    "event_categories",
    "event_names",
    "debug_annotation_names",
    "function_names",
    "frames",
    "callstacks",
    "debug_annotation_string_values",
)

Written = collections.namedtuple("Written", "time type track name category arguments stack")


def check_known(message):
    if len(unknown_fields.UnknownFieldSet(message)):
        fail(f"unknown fields in {message}")
    for field, value in message.ListFields():
        if field.message_type:
            for part in value if isinstance(value, collections.abc.Sequence) else [value]:
                check_known(part)


class Reader:
    """A sequence of packets, read in order."""

    def __init__(self):
        self.tables = None
        self.clocks = None
        self.tracks = {}
        self.events = []

    def packet(self, packet):
        check_equal("sequence", packet.trusted_packet_sequence_id, 1)
        if packet.HasField("clock_snapshot"):
            snapshot = packet.clock_snapshot
            self.clocks = {clock.clock_id: clock.timestamp for clock in snapshot.clocks}
            check_equal("clocks", set(self.clocks), {REALTIME, MONOTONIC})
            check_equal("primary clock", snapshot.primary_trace_clock, MONOTONIC)
        if packet.sequence_flags & CLEARED:
            if self.tables is None:
                check_equal("first packet", packet.first_packet_on_sequence, True)
            else:
                check_equal("packet after a loss", packet.previous_packet_dropped, 1)
            self.tables = {name: {} for name in TABLES}
            check_equal("clock of times", packet.trace_packet_defaults.timestamp_clock_id, MONOTONIC)
        elif packet.previous_packet_dropped:
            fail("what was interned before a loss is still used")
        for table in TABLES:
            for entry in getattr(packet.interned_data, table):
                if not entry.iid or entry.iid in self.tables[table]:
                    fail(f"{table} {entry.iid} is interned twice")
                self.tables[table][entry.iid] = entry
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            if track.parent_uuid and track.parent_uuid not in self.tracks:
                fail(f"the parent of {track} comes later")
            self.tracks[track.uuid] = track
        if packet.HasField("track_event"):
            self.event(packet)

    def event(self, packet):
        event = packet.track_event
        if self.clocks is None or not packet.sequence_flags & NEEDED or event.track_uuid not in self.tracks:
            fail(f"no clock, no interning or no track for {packet}")
        named = {}
        for annotation in event.debug_annotations:
            kind = annotation.WhichOneof("value")
            value = getattr(annotation, kind)
            if kind == "string_value_iid":
                value = self.tables["debug_annotation_string_values"][value].str.decode()
            elif kind == "pointer_value":
                value = hex(value)
            named[self.tables["debug_annotation_names"][annotation.name_iid].name] = value
        stack = None
        if event.callstack_iid:
            frames = (self.tables["frames"][iid] for iid in self.tables["callstacks"][event.callstack_iid].frame_ids)
            stack = [self.tables["function_names"][frame.function_name_id].str.decode() for frame in frames]
        name = self.tables["event_names"][event.name_iid].name if event.name_iid else None
        category = [self.tables["event_categories"][iid].name for iid in event.category_iids]
        self.events.append(
            Written(packet.timestamp, event.type, event.track_uuid, name, "".join(category), named, stack)
        )


def text(event, name):
    """A field of `script -j` as annotations have it; None for what they have in words of their own."""
    value = event[name]
    if isinstance(value, bool) or isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"-{event[name + '_errno']}" if name + "_errno" in event else value
    if isinstance(value, list):
        return "|".join(value) or "0"
    return None


def thread_of(reader, track):
    """Process, thread; an idle thread has the CPU in its name."""
    described = reader.tracks[track]
    while not described.HasField("thread"):
        if described.name.startswith("swapper/"):
            return 0, 0
        described = reader.tracks[described.parent_uuid]
    return described.thread.pid, described.thread.tid


def validate(export, trace):
    packets = proto.Trace()
    with open(export, "rb") as file:
        packets.ParseFromString(file.read())
    check_known(packets)
    reader = Reader()
    for packet in packets.packet:
        reader.packet(packet)

    open_slices = collections.defaultdict(list)
    calls, states, losses = {}, [], collections.Counter()
    for event in sorted(reader.events, key=lambda event: event.time):
        if event.type == BEGIN:
            open_slices[event.track].append(event)
        elif event.type == END:
            if not open_slices[event.track]:
                fail(f"an end without a beginning: {event}")
            begun = open_slices[event.track].pop()
            if begun.category == "state":
                states.append((begun.name, event.arguments["ended_by"]))
            elif begun.category == "lost":
                losses[begun.arguments["cause"]] += begun.arguments["count"]
            else:
                check_equal(f"length of {begun}", event.time - begun.time, begun.arguments["duration"])
                calls[id(begun)] = event.time
    if any(open_slices.values()):
        fail("a slice has no end")

    own = [event for event in reader.events if event.type in (BEGIN, INSTANT)]
    own = [event for event in own if event.category not in ("state", "lost", "session")]
    check_equal("events", counts_of(event.name for event in own), trace.counts)
    check_equal("events in a row", len(own), len(trace.events))
    compared = 0
    for event, expected in zip(own, trace.events):
        check_equal("event", event.name, expected["event"])
        check_equal("time", calls.get(id(event), event.time), expected["time"])
        check_equal("thread", thread_of(reader, event.track), (expected["pid"], expected["tid"]))
        for name, value in event.arguments.items():
            wanted = text(expected, name)
            if wanted is not None:
                check_equal(f"{name} of {expected}", value, wanted)
                compared += 1
        frames = trace.frames.get(expected.get("stack"))
        if (event.stack is None) != (frames is None) or not set(event.stack or []) <= set(frames or []):
            fail(f"stack {event.stack} of {expected}")

    check_equal("losses", dict(losses), trace.losses)
    ends = collections.Counter(end for _, end in states)
    bounces = sum(1 for name, end in states if name == "bounced" and end == "swiotlb_unmap_single")
    if bounces > trace.counts.get("swiotlb_unmap_single", 0):
        fail("more bounces end than are unmapped")
    return f"{len(own)} events, {compared} fields, {len(states)} states {dict(ends)}, {losses.total()} lost"


main(validate)
