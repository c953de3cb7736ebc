//! How many events reached a file or the counts, by the tool's own reader.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::subject::Reader;

/// The workload, as the kernel names it. Other tracers watch the whole system, and so see others, too.
const WHO: &str = "rmapscope-workl";

/// Events of the workload in `file`, by the name that the event and its function have; none where there is nothing to
/// read or its reader fails. `program` is rmapscope.
pub fn count(reader: Reader, event: &str, file: &Path, program: &Path) -> Option<u64> {
    let is_its = |line: &str| line.contains(event) && line.contains(WHO);
    match reader {
        Reader::None => None,
        Reader::Rmapscope => lines(
            Command::new(program).args(["script", "-f", "csv", "-F", "event", "-i"]).arg(file),
            |line| line == event,
        ),
        // Without -F the stacks would be printed, with names of functions.
        Reader::Perf => {
            lines(Command::new("perf").args(["script", "-F", "comm,event", "-i"]).arg(file), is_its)
        }
        Reader::TraceCmd => lines(Command::new("trace-cmd").args(["report", "-i"]).arg(file), is_its),
        Reader::Lines => Some(printed_lines(&fs::read_to_string(file).ok()?)),
        Reader::Counts => Some(printed_counts(&fs::read_to_string(file).ok()?)),
    }
}

fn lines(command: &mut Command, counts: impl Fn(&str) -> bool) -> Option<u64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = BufReader::new(child.stdout.take()?);
    let count =
        output.split(b'\n').map_while(Result::ok).filter(|line| counts(&String::from_utf8_lossy(line)));
    let count = count.count() as u64;
    child.wait().ok()?.success().then_some(count)
}

/// Lines of our `printf`: process, name, address, another value.
fn printed_lines(text: &str) -> u64 {
    let ours = |line: &&str| {
        let words: Vec<_> = line.split(' ').collect();
        words.len() == 4
            && words[0].parse::<u32>().is_ok()
            && words[1] == WHO
            && u64::from_str_radix(words[2], 16).is_ok()
    };
    text.lines().filter(ours).count() as u64
}

/// The largest count of a process, `@[key]: count`: the workload's; or the sum of a histogram's
/// `[from, to) count |@@@|` (bpftrace) and `from -> to : count |***|` (BCC), which is everybody's.
fn printed_counts(text: &str) -> u64 {
    let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
    let of_process = text.lines().filter_map(|line| number(line.split_once("]: ")?.1)).max();
    let of_range = |line: &str| {
        let rest = match line.strip_prefix('[') {
            Some(line) => line.split_once([')', ']'])?.1,
            None => line.split_once(" -> ")?.1.split_once(':')?.1,
        };
        number(rest)
    };
    of_process.unwrap_or_else(|| text.lines().filter_map(of_range).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpftrace_output_is_counted() {
        let printed = "Attaching 1 probe...\n608 rmapscope-workl ffd400000016efc0 64\n608 rmapsc\n\n";
        assert_eq!(printed_lines(printed), 1);
        assert_eq!(printed_lines("608 bash ffd400000016efc0 64\n"), 0);
        assert_eq!(printed_counts("Attaching 1 probe...\n\n@[608]: 24576\n@[1]: 2\n"), 24576);
        let histogram = "@h: \n[1K, 2K)           24562 |@@@@@@|\n[2K, 4K)              14 |      |\n";
        assert_eq!(printed_counts(histogram), 24576);
        assert_eq!(printed_counts("[0]                    5 |@@|\n"), 5);
    }

    #[test]
    fn histograms_of_bcc_are_counted() {
        let printed = "Tracing f.  Hit Ctrl-C to exit\n\n     nsec                : count    distribution\n  \
                       512 -> 1023       : 4090     |*****|\n      1024 -> 2047       : 6        |     |\nExiting\n";
        assert_eq!(printed_counts(printed), 4096);
    }

    #[test]
    fn a_reader_that_fails_counts_nothing() {
        assert_eq!(lines(&mut Command::new("false"), |_| true), None);
        assert_eq!(lines(Command::new("printf").arg("a\\nb\\n"), |line| line == "a"), Some(1));
        assert_eq!(count(Reader::Lines, "e", Path::new("/nowhere"), Path::new("rmapscope")), None);
    }
}
