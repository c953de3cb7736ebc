//! For people: a line a range, columns aligned.

use std::fmt::Write;
use std::time::Duration;

use super::view::{Change, Totals, View};
use crate::escape::escaped;

/// Runs of page frames that a line shows.
const FRAMES_SHOWN: usize = 4;

/// The line above the ranges.
pub const HEADING: &str = "    PID COMM             START            END               PAGES KIND                     \
                           FLAGS                PFNS; VMA\n";

/// A range.
pub fn range(out: &mut String, view: &View<'_>) {
    let range = &view.range;
    let flags: Vec<&str> = range.flags.names().collect();
    let flags = if flags.is_empty() { "-".to_owned() } else { flags.join(",") };
    let _ = write!(
        out,
        "{:7} {:16} {:016x} {:016x} {:6} {:24} {flags:20} ",
        view.process.pid,
        escaped(&view.process.comm),
        range.start,
        view.end,
        range.pages,
        range.flags.kind.name(),
    );
    for (index, frames) in range.frames.iter().take(FRAMES_SHOWN).enumerate() {
        let _ = write!(out, "{}{:#x}", if index > 0 { "," } else { "" }, frames.pfn);
        if frames.count > 1 {
            let _ = write!(out, "-{:#x}", frames.pfn + frames.count - 1);
        }
    }
    if range.frames.len() > FRAMES_SHOWN {
        out.push_str(",...");
    }
    if let Some(locked) = view.locked.filter(|locked| locked.known > 0) {
        let _ = write!(out, " ({} locked)", locked.locked);
    }
    out.push_str(if range.frames.is_empty() { "-;" } else { ";" });
    if let Some(vma) = view.vma {
        let path = if vma.path.is_empty() { "anonymous".to_owned() } else { escaped(&vma.path) };
        let _ = write!(out, " {} {path}", vma.permissions);
        if let Some(flags) = &vma.flags {
            let _ = write!(out, " [{flags}]");
        }
    }
    out.push('\n');
}

/// A range that stands, came or went, so long after the first look.
pub fn change(out: &mut String, change: Change, since_start: Duration, view: &View<'_>) {
    let sign = match change {
        Change::Stands => '=',
        Change::Came => '+',
        Change::Went => '-',
    };
    let _ = write!(out, "{:12.6} {sign} ", since_start.as_secs_f64());
    range(out, view);
}

/// The sums, one line.
pub fn totals(out: &mut String, totals: &Totals) {
    let mut counts: Vec<String> =
        totals.counts.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    if totals.with_entries == 0 {
        counts.insert(0, "no special entries".to_owned());
    }
    let _ = write!(out, "total: {}; processes {}", counts.join(", "), totals.processes);
    for (count, words) in [
        (totals.with_entries, "with entries"),
        (totals.denied, "denied"),
        (totals.vanished, "ended meanwhile"),
        (totals.without_memory, "without memory of their own"),
    ] {
        if count > 0 {
            let _ = write!(out, ", {words} {count}");
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::entry::{EntryRange, Flags, Frames, Kind};
    use super::super::page_lock::Locked;
    use super::super::process::Process;
    use super::super::vma::Vma;
    use super::*;
    use crate::kernel::SwapKind;

    #[test]
    fn a_line_has_everything_and_nothing_that_a_terminal_obeys() {
        let process = Process { pid: 12, start: 0, comm: "\x1b[31mx".to_owned() };
        let vma = Vma {
            start: 0x7000,
            end: 0x9000,
            permissions: "rw-p".to_owned(),
            path: "/tmp/a\nb".to_owned(),
            flags: Some("rd wr".to_owned()),
        };
        let kind = Kind::Special(SwapKind::DeviceExclusiveWrite);
        let frames = vec![Frames { pfn: 0x123, count: 2 }, Frames { pfn: 0x99, count: 1 }];
        let view = View {
            process: &process,
            vma: Some(&vma),
            end: 0xa000,
            range: EntryRange {
                start: 0x7000,
                pages: 3,
                flags: Flags { kind, soft_dirty: true, uffd_wp: false, file: false, marker: 0 },
                frames,
            },
            locked: Some(Locked { locked: 1, known: 3 }),
        };
        let mut text = String::new();
        change(&mut text, Change::Came, Duration::from_micros(1_500_000), &view);
        let expected = "    1.500000 +      12 \\x1b[31mx        0000000000007000 000000000000a000      3 \
                        device_exclusive_write   soft_dirty           0x123-0x124,0x99 (1 locked); rw-p \
                        /tmp/a\\x0ab [rd wr]\n";
        assert_eq!(text, expected);
        let heading = HEADING.find("KIND").unwrap();
        assert_eq!(text["    1.500000 + ".len()..].find("device_exclusive"), Some(heading));
    }

    #[test]
    fn sums_say_what_was_not_seen() {
        let mut text = String::new();
        let counts = [(Kind::Swap, 3)].into();
        totals(&mut text, &Totals { processes: 2, denied: 1, counts, ..Totals::default() });
        assert_eq!(text, "total: no special entries, swap 3; processes 2, denied 1\n");
    }
}
