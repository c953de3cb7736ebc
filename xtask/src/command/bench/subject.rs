//! What is measured: rmapscope in its forms, and others doing the same.

use serde::Serialize;

/// Who reads the file that a subject leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// No file.
    None,
    /// `rmapscope script`.
    Rmapscope,
    /// `perf script`.
    Perf,
    /// `trace-cmd report`.
    TraceCmd,
    /// bpftrace's printed lines.
    Lines,
    /// bpftrace's printed counts.
    Counts,
}

/// One way to trace `try_to_unmap`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Subject {
    /// Name in the table and of its files.
    pub name: &'static str,
    /// What it was asked for.
    pub what: &'static str,
    /// The command line; `@work`, `@line` and `@data` are filled in in the guest.
    pub words: &'static [&'static str],
    /// Who counts the events.
    pub reader: Reader,
    /// Instructions a page that it may cost.
    pub target: Option<f64>,
}

const EVERY: &str = "every event to a file";
const LATENCY: &str = "the same with latency";
const STACKS: &str = "the same with stacks";
const COUNT: &str = "count by process";
const HISTOGRAM: &str = "latency histogram";

const fn rmapscope(
    name: &'static str,
    what: &'static str,
    words: &'static [&'static str],
    target: Option<f64>,
) -> Subject {
    Subject { name, what, words, reader: Reader::Rmapscope, target }
}

const fn peer(
    name: &'static str,
    what: &'static str,
    words: &'static [&'static str],
    reader: Reader,
) -> Subject {
    Subject { name, what, words, reader, target: None }
}

/// rmapscope in a way that leaves no events to count: what they do not explain.
const fn without_events(name: &'static str, what: &'static str, words: &'static [&'static str]) -> Subject {
    Subject { name, what, words, reader: Reader::None, target: None }
}

macro_rules! record {
    ($($word:literal),*) => {
        &["rmapscope", "record", "-o", "@data", $($word,)* "--", "@work"]
    };
}

/// All subjects in the order of the table.
pub const SUBJECTS: &[Subject] = &[
    rmapscope("rmapscope-fentry", EVERY, record!["--attach", "fentry", "-e", "try_to_unmap"], Some(400.0)),
    rmapscope("rmapscope-kprobe", EVERY, record!["--attach", "kprobe", "-e", "try_to_unmap"], None),
    rmapscope("rmapscope-rmap", "family rmap to a file", record!["-e", "rmap"], Some(400.0)),
    rmapscope("rmapscope-all", "all families to a file", record![], Some(400.0)),
    without_events(
        "rmapscope-check",
        "all rules, judged as they come",
        &["rmapscope", "check", "--text", "/dev/null", "--", "@work"],
    ),
    rmapscope(
        "rmapscope-check-record",
        "all rules, and every event to a file",
        &["rmapscope", "check", "--text", "/dev/null", "--record", "@data", "--", "@work"],
        None,
    ),
    without_events(
        "rmapscope-check-rule",
        "the one rule on these events",
        &["rmapscope", "check", "--text", "/dev/null", "--rules", "rmap-caller-locked", "--", "@work"],
    ),
    peer(
        "perf-kprobe",
        EVERY,
        &["perf", "record", "-a", "-e", "rmapscope:try_to_unmap", "-o", "@data", "--", "@work"],
        Reader::Perf,
    ),
    peer(
        "trace-cmd-kprobe",
        EVERY,
        &["trace-cmd", "record", "-e", "rmapscope:try_to_unmap", "-o", "@data", "@work"],
        Reader::TraceCmd,
    ),
    peer(
        "bpftrace-printf-kprobe",
        EVERY,
        &[
            "bpftrace",
            "-e",
            r#"kprobe:try_to_unmap { printf("%d %s %lx %d\n", pid, comm, arg0, arg1); }"#,
            "-c",
            "@line",
        ],
        Reader::Lines,
    ),
    peer(
        "bpftrace-printf-kfunc",
        EVERY,
        &[
            "bpftrace",
            "-e",
            r#"kfunc:try_to_unmap { printf("%d %s %lx %d\n", pid, comm, (uint64)args->folio, args->flags); }"#,
            "-c",
            "@line",
        ],
        Reader::Lines,
    ),
    rmapscope(
        "rmapscope-latency-fentry",
        LATENCY,
        record!["--attach", "fentry", "-l", "-e", "try_to_unmap"],
        Some(550.0),
    ),
    rmapscope(
        "rmapscope-latency-kprobe",
        LATENCY,
        record!["--attach", "kprobe", "-l", "-e", "try_to_unmap"],
        None,
    ),
    rmapscope(
        "rmapscope-stacks-fentry",
        STACKS,
        record!["--attach", "fentry", "-g", "-e", "try_to_unmap"],
        None,
    ),
    rmapscope(
        "rmapscope-stacks-kprobe",
        STACKS,
        record!["--attach", "kprobe", "-g", "-e", "try_to_unmap"],
        None,
    ),
    peer(
        "perf-stacks-kprobe",
        STACKS,
        &["perf", "record", "-a", "-g", "-e", "rmapscope:try_to_unmap", "-o", "@data", "--", "@work"],
        Reader::Perf,
    ),
    without_events(
        "rmapscope-no-file",
        "every event, file thrown away",
        &[
            "rmapscope",
            "record",
            "-o",
            "/dev/null",
            "--attach",
            "fentry",
            "-e",
            "try_to_unmap",
            "--",
            "@work",
        ],
    ),
    without_events(
        "rmapscope-none-pass",
        "every event filtered out by latency",
        record!["--attach", "fentry", "--min-latency", "10s", "-e", "try_to_unmap"],
    ),
    without_events("rmapscope-elsewhere", "another family, no event", record!["-e", "fork"]),
    peer(
        "bpftrace-count-kprobe",
        COUNT,
        &["bpftrace", "-e", "kprobe:try_to_unmap { @[pid] = count(); }", "-c", "@line"],
        Reader::Counts,
    ),
    peer(
        "bpftrace-count-kfunc",
        COUNT,
        &["bpftrace", "-e", "kfunc:try_to_unmap { @[pid] = count(); }", "-c", "@line"],
        Reader::Counts,
    ),
    peer(
        "bpftrace-histogram-kprobe",
        HISTOGRAM,
        &[
            "bpftrace",
            "-e",
            "kprobe:try_to_unmap { @s[tid] = nsecs; } kretprobe:try_to_unmap /@s[tid]/ \
             { @h = hist(nsecs - @s[tid]); delete(@s[tid]); }",
            "-c",
            "@line",
        ],
        Reader::Counts,
    ),
    peer(
        "bpftrace-histogram-kfunc",
        HISTOGRAM,
        &[
            "bpftrace",
            "-e",
            "kfunc:try_to_unmap { @s[tid] = nsecs; } kretfunc:try_to_unmap /@s[tid]/ \
             { @h = hist(nsecs - @s[tid]); delete(@s[tid]); }",
            "-c",
            "@line",
        ],
        Reader::Counts,
    ),
];
