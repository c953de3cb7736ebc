//! Checkups of machines that consist of a few files.

use super::*;

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    /// One on which everything is well, except that there is no BTF.
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for (path, text) in [
            ("proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n"),
            (
                "proc/self/limits",
                "Max open files            1024                 524288               files\n\
                 Max locked memory         8388608              8388608              bytes\n",
            ),
            ("proc/self/mounts", "x /t tracefs rw 0 0\nx /d debugfs rw 0 0\n"),
            ("proc/sys/kernel/osrelease", "6.12.1\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("proc/sys/kernel/perf_event_paranoid", "3\n"),
            ("proc/sys/kernel/kptr_restrict", "0\n"),
            ("proc/sys/kernel/ftrace_enabled", "1\n"),
            ("d/kprobes/enabled", "1\n"),
            ("proc/kallsyms", "ffffffff81000000 T _stext\n"),
            ("proc/cmdline", "root=/dev/vda swiotlb=force quiet\n"),
            ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
            ("sys/bus/event_source/devices/kprobe/type", "8\n"),
            ("boot/config-6.12.1", "#\nCONFIG_MIGRATION=y\n"),
            ("t/available_filter_functions", "try_to_unmap\n"),
            ("d/swiotlb/io_tlb_nslabs", "32768\n"),
            ("d/swiotlb/io_tlb_used", "4\n"),
        ] {
            machine.write(path, text);
        }
        machine.link("user", 4_026_531_837);
        machine.link("pid", 4_026_531_836);
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn link(&self, kind: &str, inode: u64) {
        let path = self.root.path().join("proc/self/ns").join(kind);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(format!("{kind}:[{inode}]"), path).unwrap();
    }

    fn checkup(&self) -> Checkup {
        Checkup::of(&SystemFiles::below(self.root.path()), None)
    }

    fn check(&self, name: &str) -> Check {
        self.checkup().checks.into_iter().find(|check| check.name == name).unwrap()
    }
}

#[test]
fn without_btf_nothing_can_be_recorded_and_the_rest_is_well() {
    let checkup = Machine::new().checkup();
    assert!(!checkup.recording_possible);
    let states: Vec<(&str, CheckState)> =
        checkup.checks.iter().map(|check| (check.name, check.state)).collect();
    let expected = [
        ("privilege", CheckState::Ok),
        ("user namespace", CheckState::Ok),
        ("pid namespace", CheckState::Ok),
        ("lockdown", CheckState::Ok),
        ("bpf system call", CheckState::Ok),
        ("perf_event_paranoid", CheckState::Ok),
        ("kernel addresses", CheckState::Ok),
        ("locked memory", CheckState::Ok),
        ("open files", CheckState::Ok),
        ("tracefs", CheckState::Ok),
        ("BTF", CheckState::Problem),
        ("kprobes", CheckState::Ok),
        ("ftrace switch", CheckState::Ok),
        ("kprobe switch", CheckState::Ok),
        ("bounce buffers", CheckState::Ok),
        ("configuration", CheckState::Ok),
    ];
    assert_eq!(states, expected);
}

#[test]
fn whoever_may_not_load_programs_gets_the_command_that_helps() {
    let machine = Machine::new();
    machine.write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n");
    let check = machine.check("privilege");
    assert_eq!(check.state, CheckState::Problem);
    assert!(check.finding.starts_with("effective uid 1000; holds none; lacks CAP_BPF"), "{}", check.finding);
    assert!(check.remedy.contains("setcap cap_bpf,cap_perfmon,cap_syslog+ep"));
    // CAP_BPF and CAP_PERFMON are enough to load; Debian's perf_event_paranoid then bars kprobes.
    machine.write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t000000c000000000\n");
    assert_eq!(machine.check("privilege").state, CheckState::Note);
    assert_eq!(machine.check("perf_event_paranoid").state, CheckState::Note);
}

#[test]
fn namespaces_of_containers_are_noticed() {
    let machine = Machine::new();
    machine.link("user", 4_026_532_111);
    machine.link("pid", 4_026_532_112);
    assert_eq!(machine.check("user namespace").state, CheckState::Problem);
    assert_eq!(machine.check("pid namespace").state, CheckState::Note);
}

#[test]
fn lockdown_says_what_is_lost() {
    let machine = Machine::new();
    machine.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    let check = machine.check("lockdown");
    assert_eq!((check.state, check.finding.as_str()), (CheckState::Note, "confidentiality"));
    assert!(check.meaning.contains("kprobes cannot attach") && check.meaning.contains("exclusive_page"));
    machine.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    assert_eq!(machine.check("lockdown").state, CheckState::Ok);
    std::fs::remove_file(machine.root.path().join("sys/kernel/security/lockdown")).unwrap();
    assert_eq!(machine.check("lockdown").finding, "none: this kernel was built without it");
    machine.write("boot/config-6.12.1", "#\nCONFIG_SECURITY_LOCKDOWN_LSM=y\n");
    assert_eq!(machine.check("lockdown").state, CheckState::Note);
}

#[test]
fn switches_that_silence_probes_are_told() {
    let machine = Machine::new();
    machine.write("proc/sys/kernel/ftrace_enabled", "0\n");
    machine.write("d/kprobes/enabled", "0\n");
    let ftrace = machine.check("ftrace switch");
    assert_eq!((ftrace.state, ftrace.finding.as_str()), (CheckState::Problem, "kernel.ftrace_enabled is 0"));
    assert_eq!(ftrace.remedy, "sysctl kernel.ftrace_enabled=1");
    assert_eq!(machine.check("kprobe switch").state, CheckState::Note);
}

#[test]
fn locked_memory_matters_before_5_11_only() {
    let machine = Machine::new();
    machine.write("proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000000c000000000\n");
    assert_eq!(machine.check("locked memory").state, CheckState::Ok);
    machine.write("proc/sys/kernel/osrelease", "5.10.0-30-amd64\n");
    let check = machine.check("locked memory");
    assert_eq!((check.state, check.finding.as_str()), (CheckState::Note, "limit 8388608 bytes"));
}

#[test]
fn too_few_open_files_are_told() {
    let machine = Machine::new();
    let limits = |soft: &str, hard: &str| {
        machine.write("proc/self/limits", &format!("Max open files            {soft} {hard} files\n"));
        machine.check("open files")
    };
    let check = limits("20", "24");
    assert_eq!((check.state, check.finding.as_str()), (CheckState::Note, "limit 24"));
    assert!(check.remedy.contains("ulimit -n 500"), "{}", check.remedy);
    // The soft limit is raised as far as it may be.
    assert_eq!(limits("24", "4096").state, CheckState::Ok);
    assert_eq!(limits("24", "unlimited").state, CheckState::Ok);
}

#[test]
fn what_cannot_be_read_is_said() {
    let machine = Machine { root: tempfile::tempdir().unwrap() };
    for (name, state) in [
        ("privilege", CheckState::Problem),
        ("user namespace", CheckState::Note),
        ("lockdown", CheckState::Note),
        ("bpf system call", CheckState::Problem),
        ("perf_event_paranoid", CheckState::Problem),
        ("kernel addresses", CheckState::Note),
        ("open files", CheckState::Note),
        ("tracefs", CheckState::Note),
        ("BTF", CheckState::Problem),
        ("kprobes", CheckState::Note),
        ("ftrace switch", CheckState::Note),
        ("kprobe switch", CheckState::Note),
        ("bounce buffers", CheckState::Note),
        ("configuration", CheckState::Note),
    ] {
        let check = machine.check(name);
        assert_eq!(check.state, state, "{name}");
        assert!(!check.finding.is_empty() && !check.meaning.is_empty(), "{name}");
    }
}

#[test]
fn bounce_buffers_tell_size_use_and_boot_parameter() {
    let machine = Machine::new();
    let check = machine.check("bounce buffers");
    assert_eq!(check.finding, "32768 slots of 2048 bytes, 4 in use now (booted with swiotlb=force)");
    std::fs::remove_file(machine.root.path().join("d/swiotlb/io_tlb_nslabs")).unwrap();
    let check = machine.check("bounce buffers");
    assert_eq!(check.finding, "the default pool is empty (booted with swiotlb=force)");
}
