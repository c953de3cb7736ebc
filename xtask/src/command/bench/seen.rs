//! How many events reached a file or the counts, by the tool's own reader.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::subject::Reader;

/// The traced function, as every reader prints it.
const EVENT: &str = "try_to_unmap";

/// Events in `file`; none where there is nothing to read or its reader fails. `program` is rmapscope.
pub fn count(reader: Reader, file: &Path, program: &Path) -> Option<u64> {
    match reader {
        Reader::None => None,
        Reader::Rmapscope => lines(
            Command::new(program).args(["script", "-f", "csv", "-F", "event", "-i"]).arg(file),
            |line| line == EVENT,
        ),
        Reader::Perf => lines(Command::new("perf").args(["script", "-F", "event", "-i"]).arg(file), |line| {
            line.contains(EVENT)
        }),
        Reader::TraceCmd => {
            lines(Command::new("trace-cmd").args(["report", "-i"]).arg(file), |line| line.contains(EVENT))
        }
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

/// Lines of our `printf`: process, name, address, flags.
fn printed_lines(text: &str) -> u64 {
    let ours = |line: &&str| {
        let words: Vec<_> = line.split(' ').collect();
        words.len() == 4 && words[0].parse::<u32>().is_ok() && u64::from_str_radix(words[2], 16).is_ok()
    };
    text.lines().filter(ours).count() as u64
}

/// The sum of `@[key]: count` and of a histogram's `[from, to) count |@@@|`.
fn printed_counts(text: &str) -> u64 {
    let value = |line: &str| {
        let rest = match line.split_once("]: ") {
            Some((_, rest)) => rest,
            None => line.strip_prefix('[')?.split_once([')', ']'])?.1,
        };
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpftrace_output_is_counted() {
        let printed = "Attaching 1 probe...\n608 rmapscope-workl ffd400000016efc0 64\n608 rmapsc\n\n";
        assert_eq!(printed_lines(printed), 1);
        assert_eq!(printed_counts("Attaching 1 probe...\n\n@[608]: 24576\n@[1]: 2\n"), 24578);
        let histogram = "@h: \n[1K, 2K)           24562 |@@@@@@|\n[2K, 4K)              14 |      |\n";
        assert_eq!(printed_counts(histogram), 24576);
        assert_eq!(printed_counts("[0]                    5 |@@|\n"), 5);
    }

    #[test]
    fn a_reader_that_fails_counts_nothing() {
        assert_eq!(lines(&mut Command::new("false"), |_| true), None);
        assert_eq!(lines(Command::new("printf").arg("a\\nb\\n"), |line| line == "a"), Some(1));
        assert_eq!(count(Reader::Lines, Path::new("/nowhere"), Path::new("rmapscope")), None);
    }
}
