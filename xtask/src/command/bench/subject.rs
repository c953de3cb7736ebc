//! What is measured: each work, traced by rmapscope in its forms and by others that are asked for the same.

use super::work::{WORKS, Work};

/// Who reads the file that a subject leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Printed counts or histograms.
    Counts,
}

/// One way to trace the one function of a work.
#[derive(Debug)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// What it was asked for.
    pub what: &'static str,
    /// The command line. `{function}`, `{kprobe_arguments}` and `{kfunc_arguments}` are the work's; `@work`, `@line`
    /// and `@data` are filled in in the guest.
    words: &'static [&'static str],
    /// Who counts the events.
    pub reader: Reader,
    /// Instructions that an event of reclaim may cost.
    target: Option<f64>,
    /// The works that it is measured with.
    works: Works,
    /// It is among what `--quick` measures.
    pub is_quick: bool,
}

/// Works that a way is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Works {
    Every,
    Reclaim,
    Device,
}

impl Works {
    fn has(self, work: &Work) -> bool {
        match self {
            Self::Every => true,
            Self::Reclaim => work.name == RECLAIM,
            Self::Device => work.name == DEVICE,
        }
    }
}

/// A work, traced in one way.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The work.
    pub work: &'static Work,
    /// How it is traced.
    pub way: &'static Way,
}

impl Subject {
    /// All of them, work by work, in the order of the tables.
    pub fn all() -> Vec<Self> {
        let of_work = |work: &'static Work| {
            let ways = WAYS.iter().filter(|way| way.works.has(work));
            ways.map(move |way| Self { work, way })
        };
        WORKS.iter().flat_map(of_work).collect()
    }

    /// The name in the tables and of its files.
    pub fn name(&self) -> String {
        format!("{}-{}", self.work, self.way.name)
    }

    /// The command line for the guest.
    pub fn words(&self) -> Vec<String> {
        let fill = |word: &&str| {
            word.replace("{function}", self.work.function)
                .replace("{kprobe_arguments}", self.work.kprobe_arguments)
                .replace("{kfunc_arguments}", self.work.kfunc_arguments)
        };
        self.way.words.iter().map(fill).collect()
    }

    /// Instructions that an event may cost.
    pub fn target(&self) -> Option<f64> {
        self.way.target.filter(|_| self.work.name == RECLAIM)
    }

    /// Whether it is rmapscope, and not somebody else.
    pub fn is_ours(&self) -> bool {
        self.way.words[0] == "rmapscope"
    }
}

/// The work that the targets are for.
const RECLAIM: &str = "reclaim";

/// The work that needs the test driver.
const DEVICE: &str = "device";

const EVERY: &str = "every event to a file";
const LATENCY: &str = "the same with latency";
const STACKS: &str = "the same with stacks";
const COUNT: &str = "count by process";
const HISTOGRAM: &str = "latency histogram";
const DEVICE_MEMORY: &str = "all of device memory";

/// What `device_memory_peer.sh` counts.
const DEVICE_EVENTS: &str = "hmm,exclusive,exclusive_vma,migrate_vma_setup";

const fn way(name: &'static str, what: &'static str, words: &'static [&'static str], reader: Reader) -> Way {
    Way { name, what, words, reader, target: None, works: Works::Every, is_quick: false }
}

const fn record(name: &'static str, what: &'static str, words: &'static [&'static str]) -> Way {
    way(name, what, words, Reader::Rmapscope)
}

/// rmapscope in a way that leaves no events to count.
const fn without_events(name: &'static str, what: &'static str, words: &'static [&'static str]) -> Way {
    way(name, what, words, Reader::None)
}

impl Way {
    const fn aiming_at(self, target: f64) -> Self {
        Self { target: Some(target), ..self }
    }

    /// What it explains is the same with every work.
    const fn reclaim_only(self) -> Self {
        Self { works: Works::Reclaim, ..self }
    }

    /// It is about device memory.
    const fn device_only(self) -> Self {
        Self { works: Works::Device, ..self }
    }

    const fn quick(self) -> Self {
        Self { is_quick: true, ..self }
    }
}

macro_rules! record {
    ($($word:expr),*) => {
        &["rmapscope", "record", "-o", "@data", $($word,)* "--", "@work"]
    };
}

macro_rules! stat {
    ($($word:literal),*) => {
        &["rmapscope", "stat", "-e", "{function}", $($word,)* "--", "@work"]
    };
}

/// A function's events as a kprobe event of ftrace.
const KPROBE_EVENT: &str = "rmapscope:{function}";

/// All ways in the order of the tables.
const WAYS: &[Way] = &[
    record("rmapscope-fentry", EVERY, record!["--attach", "fentry", "-e", "{function}"])
        .aiming_at(400.0)
        .quick(),
    record("rmapscope-kprobe", EVERY, record!["--attach", "kprobe", "-e", "{function}"])
        .aiming_at(900.0)
        .quick(),
    record("rmapscope-rmap", "family rmap to a file", record!["-e", "rmap"]).aiming_at(400.0).reclaim_only(),
    record("rmapscope-all", "all families to a file", record![]).aiming_at(400.0),
    way(
        "perf-kprobe",
        EVERY,
        &["perf", "record", "-a", "-e", KPROBE_EVENT, "-o", "@data", "--", "@work"],
        Reader::Perf,
    ),
    way(
        "trace-cmd-kprobe",
        EVERY,
        &["trace-cmd", "record", "-e", KPROBE_EVENT, "-o", "@data", "@work"],
        Reader::TraceCmd,
    ),
    way(
        "bpftrace-printf-kprobe",
        EVERY,
        &[
            "bpftrace",
            "-e",
            r#"kprobe:{function} { printf("%d %s %lx %d\n", pid, comm, {kprobe_arguments}); }"#,
            "-c",
            "@line",
        ],
        Reader::Lines,
    ),
    way(
        "bpftrace-printf-kfunc",
        EVERY,
        &[
            "bpftrace",
            "-e",
            r#"kfunc:{function} { printf("%d %s %lx %d\n", pid, comm, {kfunc_arguments}); }"#,
            "-c",
            "@line",
        ],
        Reader::Lines,
    ),
    record("rmapscope-latency-fentry", LATENCY, record!["--attach", "fentry", "-l", "-e", "{function}"])
        .aiming_at(600.0),
    record("rmapscope-latency-kprobe", LATENCY, record!["--attach", "kprobe", "-l", "-e", "{function}"]),
    record("rmapscope-stacks-fentry", STACKS, record!["--attach", "fentry", "-g", "-e", "{function}"]),
    record("rmapscope-stacks-kprobe", STACKS, record!["--attach", "kprobe", "-g", "-e", "{function}"]),
    way(
        "perf-stacks-kprobe",
        STACKS,
        &["perf", "record", "-a", "-g", "-e", KPROBE_EVENT, "-o", "@data", "--", "@work"],
        Reader::Perf,
    ),
    without_events(
        "rmapscope-check",
        "all rules, judged as they come",
        &["rmapscope", "check", "--text", "/dev/null", "--", "@work"],
    )
    .aiming_at(700.0)
    .quick(),
    record(
        "rmapscope-check-record",
        "all rules, and every event to a file",
        &["rmapscope", "check", "--text", "/dev/null", "--record", "@data", "--", "@work"],
    )
    .reclaim_only(),
    without_events(
        "rmapscope-check-rule",
        "the one rule on these events",
        &["rmapscope", "check", "--text", "/dev/null", "--rules", "rmap-caller-locked", "--", "@work"],
    )
    .reclaim_only(),
    without_events(
        "rmapscope-no-file",
        "every event, file thrown away",
        &["rmapscope", "record", "-o", "/dev/null", "--attach", "fentry", "-e", "{function}", "--", "@work"],
    )
    .reclaim_only(),
    without_events(
        "rmapscope-none-pass",
        "every event filtered out by latency",
        record!["--attach", "fentry", "--min-latency", "10s", "-e", "{function}"],
    )
    .reclaim_only(),
    without_events("rmapscope-elsewhere", "another family, no event", record!["-e", "fork"]).reclaim_only(),
    without_events("rmapscope-count-fentry", COUNT, stat!["--attach", "fentry", "--by", "process"])
        .aiming_at(150.0)
        .quick(),
    without_events("rmapscope-count-kprobe", COUNT, stat!["--attach", "kprobe", "--by", "process"]),
    way(
        "bpftrace-count-kprobe",
        COUNT,
        &["bpftrace", "-e", "kprobe:{function} { @[pid] = count(); }", "-c", "@line"],
        Reader::Counts,
    ),
    way(
        "bpftrace-count-kfunc",
        COUNT,
        &["bpftrace", "-e", "kfunc:{function} { @[pid] = count(); }", "-c", "@line"],
        Reader::Counts,
    ),
    without_events("rmapscope-histogram-fentry", HISTOGRAM, stat!["--attach", "fentry", "--of", "latency"])
        .aiming_at(450.0)
        .quick(),
    without_events("rmapscope-histogram-kprobe", HISTOGRAM, stat!["--attach", "kprobe", "--of", "latency"]),
    way(
        "bpftrace-histogram-kprobe",
        HISTOGRAM,
        &[
            "bpftrace",
            "-e",
            "kprobe:{function} { @s[tid] = nsecs; } kretprobe:{function} /@s[tid]/ \
             { @h = hist(nsecs - @s[tid]); delete(@s[tid]); }",
            "-c",
            "@line",
        ],
        Reader::Counts,
    ),
    way(
        "bpftrace-histogram-kfunc",
        HISTOGRAM,
        &[
            "bpftrace",
            "-e",
            "kfunc:{function} { @s[tid] = nsecs; } kretfunc:{function} /@s[tid]/ \
             { @h = hist(nsecs - @s[tid]); delete(@s[tid]); }",
            "-c",
            "@line",
        ],
        Reader::Counts,
    ),
    record("rmapscope-hmm", DEVICE_MEMORY, record!["-e", DEVICE_EVENTS]).device_only(),
    without_events(
        "rmapscope-count-hmm",
        DEVICE_MEMORY,
        &["rmapscope", "stat", "-e", DEVICE_EVENTS, "--by", "process", "--", "@work"],
    )
    .device_only(),
    // Counts of ten maps, which the guest tests compare.
    way("bpftrace-hmm", DEVICE_MEMORY, &["device_memory_peer", "@work"], Reader::None).device_only(),
    // Of BCC's tools, the one that needs neither a compiler nor the kernel's headers in the guest. It takes no command.
    way("funclatency", HISTOGRAM, &["around", "funclatency", "{function}", "--", "@work"], Reader::Counts),
];
