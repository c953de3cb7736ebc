//! What the kernel's console says about the kernel's health.

/// The line in which the kernel panicked, if it did.
pub fn panic_line(console: &str) -> Option<&str> {
    console.lines().find(|line| line.contains("Kernel panic - not syncing")).map(str::trim)
}

/// Lines in which the kernel complains about itself: oopses, warnings, lock-ups, stalls, sanitizer reports.
pub fn complaints(console: &str) -> Vec<&str> {
    console.lines().map(str::trim).filter(|line| is_complaint(line)).collect()
}

fn is_complaint(line: &str) -> bool {
    const MARKS: [&str; 10] = [
        "Kernel panic - not syncing",
        // The page-fault handler, the sanitizers and the lock-up detector begin like this.
        "BUG: ",
        // kernel/panic.c, __warn().
        "WARNING: CPU:",
        "WARNING: possible",
        "kernel BUG at",
        "Oops: ",
        "general protection fault",
        "detected stalls",
        "self-detected stall",
        "blocked for more than",
    ];
    MARKS.iter().any(|mark| line.contains(mark))
}

/// The last `count` lines that are not empty, indented by two spaces.
pub fn tail(console: &str, count: usize) -> String {
    let lines = lines(console);
    indented(&lines[lines.len().saturating_sub(count)..])
}

/// `count` lines from the first complaint on; without a complaint the last ones.
pub fn trouble(console: &str, count: usize) -> String {
    let lines = lines(console);
    match lines.iter().position(|line| is_complaint(line)) {
        Some(first) => indented(&lines[first..lines.len().min(first + count)]),
        None => tail(console, count),
    }
}

fn lines(console: &str) -> Vec<&str> {
    console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

fn indented(lines: &[&str]) -> String {
    if lines.is_empty() {
        return "  (the console is empty)".into();
    }
    // A terminal must not obey what a guest prints.
    let harmless = |letter: char| if letter.is_control() && letter != '\t' { '.' } else { letter };
    let lines: Vec<String> =
        lines.iter().map(|line| format!("  {}", line.chars().map(harmless).collect::<String>())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "\
[    1.000000] Linux version 6.12\r
[    9.100000] WARNING: CPU: 0 PID: 1 at mm/rmap.c:1 try_to_unmap+0x1/0x2\r
\r
[    9.200000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\r
[    9.300000] Kernel panic - not syncing: sysrq triggered crash\r
";

    #[test]
    fn finds_the_panic() {
        assert_eq!(
            panic_line(CONSOLE),
            Some("[    9.300000] Kernel panic - not syncing: sysrq triggered crash")
        );
        assert_eq!(panic_line("all is well"), None);
    }

    #[test]
    fn finds_what_the_kernel_complains_about() {
        assert_eq!(complaints(CONSOLE).len(), 3);
        assert!(complaints("[ 1.0] Linux version\n[ 2.0] EXT4-fs mounted").is_empty());
    }

    #[test]
    fn tail_is_short_and_harmless() {
        assert_eq!(tail("a\nb\n\nc\x1b[2J\r\n", 2), "  b\n  c.[2J");
        assert_eq!(tail("", 5), "  (the console is empty)");
    }

    #[test]
    fn trouble_begins_with_the_first_complaint() {
        assert!(trouble(CONSOLE, 2).starts_with("  [    9.100000] WARNING: CPU: 0"));
        assert_eq!(trouble(CONSOLE, 2).lines().count(), 2);
        assert_eq!(trouble("a\nb", 1), "  b");
    }
}
