//! Whether a kernel takes a task off its CPU in the middle of its own code.

use super::{Configuration, Symbols, SystemFiles};

/// Whether it preempts tasks in the kernel, where no lock forbids it. Where that unknown: yes.
pub fn preempts(system: &SystemFiles, symbols: &Symbols, configuration: Option<&Configuration>) -> bool {
    // Only with CONFIG_PREEMPTION (kernel/sched/core.c).
    if !symbols.is_empty() && !symbols.exists("preempt_schedule") {
        return false;
    }
    let mode = chosen(system).or_else(|| at_boot(system)).or_else(|| built_in(configuration?));
    !matches!(mode.as_deref(), Some("none" | "voluntary"))
}

/// The mode that is in force: the one in parentheses (kernel/sched/debug.c, `sched_dynamic_show`).
fn chosen(system: &SystemFiles) -> Option<String> {
    let text = system.line(system.mount_point("debugfs")?.join("sched/preempt"))?;
    let (_, rest) = text.split_once('(')?;
    rest.split_once(')').map(|(mode, _)| mode.to_owned())
}

/// The mode that the kernel's command line asks for (kernel/sched/core.c, `setup_preempt_mode`).
fn at_boot(system: &SystemFiles) -> Option<String> {
    let line = system.line("/proc/cmdline")?;
    line.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix("preempt=")).map(str::to_owned)
}

/// The mode that it was built to begin with.
fn built_in(configuration: &Configuration) -> Option<String> {
    [("PREEMPT_NONE", "none"), ("PREEMPT_VOLUNTARY", "voluntary")]
        .into_iter()
        .find(|(option, _)| configuration.is_set(option))
        .map(|(_, mode)| mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(names: &str) -> Symbols {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kallsyms");
        std::fs::write(&path, names).unwrap();
        Symbols::load(&path).unwrap()
    }

    #[test]
    fn a_kernel_that_cannot_does_not() {
        let (_root, system) = SystemFiles::made_of(&[]);
        assert!(!preempts(&system, &symbols("ffffffff81000000 T schedule\n"), None));
        assert!(preempts(&system, &symbols("ffffffff81000000 T preempt_schedule\n"), None));
        assert!(preempts(&system, &Symbols::none(), None), "what is not known may be");
    }

    #[test]
    fn the_mode_in_force_decides() {
        let symbols = symbols("ffffffff81000000 T preempt_schedule\n");
        let mounts = ("proc/self/mounts", "x /d debugfs rw 0 0\n");
        let command_line = ("proc/cmdline", "preempt=full quiet preempt=none\n");
        for (mode, expected) in [("none (voluntary) full lazy", false), ("none voluntary full (lazy) ", true)]
        {
            let (_root, system) = SystemFiles::made_of(&[mounts, ("d/sched/preempt", mode), command_line]);
            assert_eq!(preempts(&system, &symbols, None), expected, "{mode}");
        }
        let (_root, system) = SystemFiles::made_of(&[command_line]);
        assert!(!preempts(&system, &symbols, None), "without debugfs the command line says it");
    }

    #[test]
    fn else_it_is_as_it_was_built() {
        let symbols = symbols("ffffffff81000000 T preempt_schedule\n");
        for (option, expected) in [("PREEMPT_VOLUNTARY", false), ("PREEMPT_LAZY", true)] {
            let text = format!("CONFIG_64BIT=y\nCONFIG_{option}=y\n");
            let (root, system) = SystemFiles::made_of(&[("proc/cmdline", "quiet\n"), ("config", &text)]);
            let configuration = Configuration::load(&root.path().join("config")).unwrap();
            assert_eq!(preempts(&system, &symbols, Some(&configuration)), expected, "{option}");
        }
    }
}
