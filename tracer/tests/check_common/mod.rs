//! Verdicts made by hand.

use rmapscope::check::{
    Actor, Diagnosis, Earlier, Evidence, Outcome, RuleVerdict, Severity, Subject, Verdict,
};
use rmapscope::event::Frame;
use rmapscope::probe::{AttachMethod, Outcome as Probe, PointReport};

fn frame(symbol: &str, offset: u64, module: Option<&str>) -> Frame {
    Frame {
        address: 0xffff_ffff_8123_4500 + offset,
        symbol: Some(symbol.to_owned()),
        offset,
        module: module.map(str::to_owned),
    }
}

fn actor(time: u64, comm: &str) -> Actor {
    Actor { time, pid: 812, tid: 813, comm: comm.to_owned(), cpu: 1, stack: Vec::new() }
}

pub fn rule(name: &'static str, outcome: Outcome, evaluated: u64) -> RuleVerdict {
    RuleVerdict {
        name,
        title: "a rule that tests made up",
        severity: Severity::Broken,
        outcome,
        evaluated,
        violations: 0,
        evidence: Vec::new(),
        reasons: Vec::new(),
        is_unasked: false,
        notes: Vec::new(),
    }
}

fn report(point: &str, outcome: Probe) -> PointReport {
    PointReport {
        point: point.to_owned(),
        family: "fork".to_owned(),
        events: vec!["copy_page_range".to_owned()],
        outcome,
        attempts: Vec::new(),
    }
}

fn violated(hostile: &str) -> RuleVerdict {
    let mut violating = actor(12_003_411_000, hostile);
    violating.stack = vec![
        frame("copy_page_range", 0x1a2, None),
        frame("dup_mmap", 0x3f, None),
        Frame { address: 0xffff_ffff_c000_1000, symbol: None, offset: 0, module: None },
    ];
    let mut maker = actor(11_999_000_100, "hmm-tests");
    maker.tid = maker.pid;
    maker.stack = vec![frame("dmirror_exclusive", 0x10, Some("test_hmm"))];
    let evidence = Evidence {
        what: "an exclusive entry reached the child".to_owned(),
        event: "copy_page_range",
        actor: violating,
        owner_pid: Some(900),
        address: Some(0x7f12_3456_7000),
        pfn: Some(0x12345),
        device: Some(format!("0000:00:04.0 {hostile}")),
        fields: [
            ("mm", "0xffff888004012000"),
            ("flags", "locked|uptodate|lru|swapbacked"),
            ("vm_flags", "VM_READ|VM_WRITE|VM_MAYREAD|VM_MAYWRITE|VM_ACCOUNT"),
            ("first_copied", hostile),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        before: vec![Earlier { what: "made exclusive".to_owned(), actor: maker }],
    };
    RuleVerdict {
        violations: 2,
        evidence: vec![evidence],
        severity: Severity::Corruption,
        notes: vec![format!("a note about {hostile}")],
        ..rule("fork-restores-exclusive", Outcome::Violated, 37)
    }
}

/// A verdict with every outcome, in which processes, devices and the command have `hostile` as their name.
pub fn full(hostile: &str) -> Verdict {
    let mut inconclusive = rule("swiotlb-paired", Outcome::Inconclusive, 500);
    inconclusive.reasons = vec![
        "14 events of the family swiotlb were lost because the ring was full; record with a larger --buffer"
            .to_owned(),
        format!("a device was called {hostile}"),
    ];
    let mut unseen = rule("restore-remlocks", Outcome::Inconclusive, 0);
    unseen.reasons = vec!["mlock_folio is absent".to_owned()];
    let mut idle = rule("munlock-walk-complete", Outcome::NotExercised, 0);
    idle.reasons = vec!["this kernel has no page_mlock".to_owned()];
    Verdict {
        subject: Subject {
            program_version: "0.1.0".to_owned(),
            host: "guest".to_owned(),
            release: "6.12.0-test".to_owned(),
            version: "#1 SMP".to_owned(),
            machine: "x86_64".to_owned(),
            build_id: Some("0123abcd".to_owned()),
            command: Some(vec!["./hmm-tests".to_owned(), hostile.to_owned()]),
            command_status: Some(0),
            watched: Some(format!("names {hostile}")),
            started: 1_763_838_000_123_456_789,
            duration: 14_000_000_000,
            events: 18231,
            lost: [("swiotlb".to_owned(), 14)].into(),
            missed: [("rmap".to_owned(), 1), ("fork".to_owned(), 0)].into(),
            ..Subject::default()
        },
        rules: vec![
            rule("migration-entry-locked", Outcome::Pass, 8123),
            violated(hostile),
            inconclusive,
            unseen,
            idle,
        ],
        diagnoses: vec![Diagnosis {
            name: "fork-enomem-exclusive",
            summary: format!("fork of {hostile} failed because an exclusive page was locked"),
            count: 3,
            evidence: Vec::new(),
            remedy: "fork again when the device is done",
        }],
        probes: vec![
            report(
                "copy_page_range",
                Probe::Attached { symbol: "copy_page_range".to_owned(), method: AttachMethod::Fentry },
            ),
            report(
                "copy_pte_range",
                Probe::Inlined { reason: "its work is seen in copy_page_range".to_owned() },
            ),
            report("try_to_unmap", Probe::NotAsked),
            report(
                "page_mlock",
                Probe::Absent { reason: "another kernel's function".to_owned(), impossible: true },
            ),
        ],
    }
}

/// A verdict of one rule.
pub fn single(outcome: Outcome) -> Verdict {
    let mut verdict = full("name");
    verdict.rules.retain(|rule| rule.outcome == outcome);
    verdict.rules.truncate(1);
    verdict
}
