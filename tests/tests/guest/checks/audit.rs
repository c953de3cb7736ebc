//! `audit`: special entries of processes that keep them, without a probe.

use anyhow::{Context, ensure};
use rmapscope_tests::workload::Fact;
use serde_json::Value;

use super::{Applies, Check, Run, names, once};
use crate::kernels::has_test_driver;
use crate::recording::Session;
use crate::runs;

pub const CHECKS: &[Check] = &[
    Check { name: "audit shows markers", applies: any_kernel, sessions: &["audit-marked"], judge: markers },
    Check {
        name: "audit finds nothing where nothing is",
        applies: any_kernel,
        sessions: &["audit-all"],
        judge: nothing,
    },
    Check {
        name: "audit says what it may not see",
        applies: any_kernel,
        sessions: &["audit-unprivileged", "audit-nobody"],
        judge: not_allowed,
    },
    Check {
        name: "audit watches migration entries come and go",
        applies: once,
        sessions: &["audit-watch"],
        judge: watch,
    },
    Check {
        name: "audit shows exclusive pages",
        applies: test_driver,
        sessions: &names(EXCLUSIVE),
        judge: exclusive,
    },
    Check {
        name: "audit shows pages of the device",
        applies: test_driver,
        sessions: &["audit-device"],
        judge: device,
    },
];

/// Once on each kernel, also on one that is locked down.
fn any_kernel(_kernel: &str, method: &str) -> Applies {
    matches!(method, runs::AUTO | runs::LOCKDOWN).into()
}

fn test_driver(kernel: &str, method: &str) -> Applies {
    if has_test_driver(kernel) { once(kernel, method) } else { Applies::No }
}

fn objects(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// The entries in what `audit` printed, as address, kind and page frame (0 without one); the same by both
/// ways to look for them.
fn entries(session: &Session) -> anyhow::Result<Vec<(u64, String, u64)>> {
    // --fail-on any: there are some.
    session.expect_status(1)?;
    let seen = pages(&objects(&session.text("stdout")?)?)?;
    let read = pages(&objects(&session.text("read")?)?)?;
    ensure!(seen == read, "searching shows {seen:x?}, reading everything shows {read:x?}");
    Ok(seen)
}

fn pages(objects: &[Value]) -> anyhow::Result<Vec<(u64, String, u64)>> {
    let mut pages = Vec::new();
    for object in objects.iter().filter(|object| object["type"] == "entries") {
        let start = number(&object["start"]).context("no start")?;
        let kind = object["kind"].as_str().context("no kind")?;
        let mut frames = Vec::new();
        for run in object["frames"].as_array().context("no frames")? {
            let first = number(&run["pfn"]).context("no pfn")?;
            frames.extend(first..first + run["count"].as_u64().context("no count")?);
        }
        for page in 0..object["pages"].as_u64().context("no pages")? {
            let frame = frames.get(page as usize).copied().unwrap_or(0);
            pages.push((start + page * 4096, kind.to_owned(), frame));
        }
    }
    Ok(pages)
}

/// The pages that the workload stated, as address and page frame.
fn stated(session: &Session) -> anyhow::Result<Vec<(u64, u64)>> {
    let facts = session.facts()?;
    let pages = facts.iter().find_map(|fact| match fact {
        Fact::Pages(pages) => Some(&pages.pages),
        _ => None,
    });
    Ok(pages.context("no pages are stated")?.iter().map(|page| (page.address, page.pfn)).collect())
}

fn markers(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("audit-marked")?;
    let entries = entries(&session)?;
    ensure!(entries.len() == 16, "{} entries instead of 16", entries.len());
    ensure!(entries.iter().all(|(_, kind, frame)| kind == "pte_marker" && *frame == 0), "{entries:x?}");
    let all = objects(&session.text("stdout")?)?;
    let first = all.iter().find(|object| object["type"] == "entries").context("no entries")?;
    let has_flag =
        |name: &str| first["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == name));
    ensure!(has_flag("uffd_wp"), "not write-protected: {first}");
    ensure!(
        first["vma"]["flags"].as_str().is_some_and(|flags| flags.contains("uw")),
        "no VMA flags: {first}"
    );
    ensure!(all[0]["swap_types_doubt"].is_null(), "the types are in doubt: {}", all[0]);
    Ok(())
}

fn nothing(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("audit-all")?;
    session.expect_status(0)?;
    let all = objects(&session.text("stdout")?)?;
    let total = all.last().context("nothing was printed")?;
    ensure!(total["type"] == "total" && total["processes"].as_u64() > Some(1), "no total: {total}");
    ensure!(total["denied"] == 0, "root was denied: {total}");
    Ok(())
}

fn not_allowed(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("audit-unprivileged")?;
    session.expect_status(4)?;
    ensure!(session.text("stderr")?.contains("try: run as root"), "no remedy: {}", session.text("stderr")?);
    let session = run.session("audit-nobody")?;
    session.expect_status(2)?;
    ensure!(session.text("stderr")?.contains("no process 4194303"), "{}", session.text("stderr")?);
    Ok(())
}

fn watch(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("audit-watch")?;
    session.expect_status(0)?;
    let all = objects(&session.text("stdout")?)?;
    let migrating = |change: &str| {
        // Of any kind: a page that was swapped out meanwhile is mapped read-only when the kernel needs it to move it.
        let is_migration = |object: &&Value| {
            object["change"] == change
                && object["kind"].as_str().is_some_and(|kind| kind.starts_with("migration_"))
        };
        all.iter().filter(is_migration).count()
    };
    let (came, went) = (migrating("came"), migrating("went"));
    ensure!(came > 0 && went > 0, "{came} ranges of migration entries came and {went} went");
    Ok(())
}

/// Sessions with exclusive entries, and of which kind.
const EXCLUSIVE: [(&str, &str); 2] =
    [("audit-exclusive", "device_exclusive_write"), ("audit-exclusive-read", "device_exclusive_read")];

fn exclusive(run: &Run<'_>) -> anyhow::Result<()> {
    for (name, kind) in EXCLUSIVE {
        let session = run.session(name)?;
        if session.file("skipped").exists() {
            continue;
        }
        let expected: Vec<_> =
            stated(&session)?.into_iter().map(|(address, frame)| (address, kind.to_owned(), frame)).collect();
        let entries = entries(&session)?;
        ensure!(entries == expected, "{entries:x?} instead of {expected:x?}");
    }
    Ok(())
}

fn device(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("audit-device")?;
    let entries = entries(&session)?;
    // The page frames are the device's, not those that the pages had before.
    let addresses: Vec<_> = stated(&session)?.into_iter().map(|(address, _)| address).collect();
    let seen: Vec<_> = entries.iter().map(|(address, ..)| *address).collect();
    ensure!(seen == addresses, "{seen:x?} instead of {addresses:x?}");
    ensure!(entries.iter().all(|(_, kind, frame)| kind == "device_write" && *frame != 0), "{entries:x?}");
    Ok(())
}
