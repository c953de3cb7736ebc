//! Device memory through test_hmm: what migrates, what the driver asks of ranges, and which it watches.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Applies, Check, Run, with_test_driver};
use crate::kernels::has_test_driver;
use crate::recording::{Event, Recording, Session};

const PAGE_SIZE: u64 = 4096;

pub const CHECKS: &[Check] = &[
    Check {
        name: "device memory: pages migrated there and back",
        applies: with_test_driver_or_arm64,
        sessions: &["hmm-migrate"],
        judge: device_memory,
    },
    Check {
        name: "device memory: pages that go to the device again and again",
        applies: with_test_driver,
        sessions: &["hmm-again"],
        judge: again_and_again,
    },
    Check {
        name: "device memory: what a driver takes back, asks for and watches",
        applies: with_test_driver,
        sessions: &["hmm-close"],
        judge: closed_with_pages,
    },
    Check {
        name: "device memory: why pages do not migrate",
        applies: with_test_driver,
        sessions: &["hmm-refused"],
        judge: refused,
    },
];

/// Stock kernels of 64-bit Arm as well.
fn with_test_driver_or_arm64(kernel: &str, method: &str) -> Applies {
    if method == "stock-arm64" { has_test_driver(kernel).into() } else { with_test_driver(kernel, method) }
}

fn device_memory(run: &Run<'_>) -> anyhow::Result<()> {
    let events = [
        "migrate_vma_setup",
        "migrate_vma_pages",
        "migrate_vma_finalize",
        "migration_entry_set",
        "migration_entry_removed",
        "remove_migration_pte",
    ];
    let (session, recording) = run.complete("hmm-migrate", &events)?;
    let pages = session.pages()?.1.len() as u64;
    let collected: u64 =
        recording.of("migrate_vma_setup").map(|event| event.number("collected")).sum::<Result<_, _>>()?;
    ensure!(collected == 2 * pages, "{collected} pages collected instead of {}", 2 * pages);
    moved_there_and_back(&recording, pages)
}

/// That every page went to the device, and came back by a fault of its own.
fn moved_there_and_back(recording: &Recording, pages: u64) -> anyhow::Result<()> {
    for step in ["migrate_vma_pages", "migrate_vma_finalize"] {
        let (mut there, mut back) = (0, 0);
        for event in recording.of(step) {
            let migrated = event.number("migrated")?;
            ensure!(event.number("filled")? == 0, "an address without a page: {}", event.json());
            if event.has_word("source", "system")? {
                there += migrated;
            } else {
                ensure!(event.has_word("source", "device_private")?, "from elsewhere: {}", event.json());
                back += migrated;
            }
        }
        ensure!(
            (there, back) == (pages, pages),
            "{step}: {there} pages moved there, {back} back, of {pages}"
        );
    }
    Ok(())
}

/// How often the session migrates its pages.
const ROUNDS: u64 = 3;

fn again_and_again(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete("hmm-again", &["migrate_vma_finalize"])?;
    let (pid, pages) = session.pages()?;
    let (start, count) = (pages[0].address, pages.len() as u64);
    let report: Value = serde_json::from_str(&session.text("report")?).context("no report")?;
    let ping_pong = &report["device_memory"]["ping_pong"];
    ensure!(ping_pong["distinct"] == 1 && ping_pong["left_out"] == 0, "{ping_pong}");
    let range = &ping_pong["entries"][0];
    let addresses = [("start", start), ("end", start + count * PAGE_SIZE)]
        .map(|(name, address)| (name, format!("{address:#x}")));
    ensure!(addresses.iter().all(|(name, address)| range[name] == *address), "not {addresses:?}: {range}");
    let numbers = [
        ("pid", pid.into()),
        ("pages", count),
        ("returns", (ROUNDS - 1) * count),
        ("most", ROUNDS - 1),
        ("stays", ROUNDS * count),
        ("time", time_on_device(&recording)?),
    ];
    for (name, number) in numbers {
        ensure!(range[name] == number, "{name} is not {number}: {range}");
    }
    for (way, function) in [("to_device", "ioctl"), ("back", "do_swap_page")] {
        let frames: Vec<&str> =
            range[way].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure!(frames.iter().any(|frame| frame.contains(function)), "{way} without {function}: {range}");
    }
    history(&session, start)
}

/// From the end of each page's migration there to the end of that back, all together.
fn time_on_device(recording: &Recording) -> anyhow::Result<u64> {
    let (mut since, mut sum) = (BTreeMap::new(), 0);
    for event in recording.of("migrate_vma_finalize") {
        let time = event.number("time")?;
        for address in (event.number("start")?..event.number("end")?).step_by(PAGE_SIZE as usize) {
            if event.has_word("source", "system")? {
                since.insert(address, time);
            } else {
                let since =
                    since.remove(&address).with_context(|| format!("never there: {}", event.json()))?;
                sum += time - since;
            }
        }
    }
    Ok(sum)
}

/// That the first page is on the device as often as it was, each time until its fault.
fn history(session: &Session, address: u64) -> anyhow::Result<()> {
    let history: Value = serde_json::from_str(&session.text("history")?).context("no history")?;
    let states = history["states"].as_array().context("no states")?;
    let there: Vec<&Value> = states.iter().filter(|state| state["state"] == "on_device").collect();
    ensure!(there.len() as u64 == ROUNDS, "{address:#x} was there {} times: {states:?}", there.len());
    for stay in there {
        ensure!(stay["lasted"].as_u64() > Some(0) && stay["seen"] == false, "no time: {stay}");
        ensure!(stay["pfn"].as_str().is_some_and(|pfn| pfn != "0x0"), "no page: {stay}");
    }
    Ok(())
}

fn closed_with_pages(run: &Run<'_>) -> anyhow::Result<()> {
    let events = [
        "migrate_vma_pages",
        "migrate_vma_finalize",
        "migrate_device_range",
        "hmm_range_fault",
        "mmu_interval_notifier_insert",
        "mmu_interval_notifier_remove",
    ];
    let (session, recording) = run.complete("hmm-close", &events)?;
    let (_, pages) = session.pages()?;
    let (start, count) = (pages[0].address, pages.len() as u64);
    let end = start + count * PAGE_SIZE;
    for event in events.iter().filter(|name| !name.ends_with("_remove")).flat_map(|name| recording.of(name)) {
        ensure!(event.number("duration")? > 0, "no time: {}", event.json());
    }
    let to_device = recording.of("migrate_vma_finalize").map(|event| event.number("migrated"));
    ensure!(to_device.sum::<Result<u64, _>>()? == count, "not all went to the device");

    let mut taken_back = 0;
    for event in recording.of("migrate_device_range") {
        ensure!(event.number("result")? == 0 && event.number("first_pfn")? > 0, "{}", event.json());
        taken_back += event.number("migrating")?;
    }
    ensure!(taken_back == count, "{taken_back} of {count} pages taken back");

    for to_read in [true, false] {
        let mut at = start;
        for event in recording.of("hmm_range_fault") {
            if event.has_word("request", "fault")? == to_read {
                ensure!(event.number("result")? == 0 && event.number("start")? == at, "{}", event.json());
                ensure!(!event.has_word("request", "write")?, "only to be read: {}", event.json());
                at = event.number("end")?;
            }
        }
        ensure!(at == end, "asked for up to {at:#x} instead of {end:#x}");
    }
    let asked = recording.of("hmm_range_fault").count() as u64;
    summed_up(&session, count, asked)?;
    watched(&recording, (start, end))
}

/// That the report says so, too: all went to the device by migration, and none came back by one.
fn summed_up(session: &Session, pages: u64, asked: u64) -> anyhow::Result<()> {
    let report: Value = serde_json::from_str(&session.text("report")?).context("no report")?;
    let memory = &report["device_memory"];
    let moves = &memory["migrated"]["entries"];
    ensure!(moves.as_array().is_some_and(|ways| ways.len() == 1), "not one way: {moves}");
    let moves = &moves[0];
    ensure!(moves["way"] == "to device" && moves["pages"] == pages && moves["moved"] == pages, "{moves}");
    ensure!(["refused", "passed_over", "unknown"].iter().all(|left| moves[left] == 0), "{moves}");
    ensure!(memory["taken_back"]["pages"] == pages, "{}", memory["taken_back"]);
    let faults = &memory["range_faults"]["entries"][0];
    ensure!(faults["calls"] == asked && faults["pages"] == 2 * pages && faults["busy"] == 0, "{faults}");
    Ok(())
}

/// That the whole address space was watched, and each piece of the range once, and nothing is any more.
fn watched(recording: &Recording, (start, end): (u64, u64)) -> anyhow::Result<()> {
    let mut watched = Vec::new();
    let (mut everything, mut at) = (0, start);
    for event in recording.of("mmu_interval_notifier_insert") {
        ensure!(event.number("result")? == 0, "{}", event.json());
        let (first, length) = (event.number("start")?, event.number("length")?);
        watched.push(notifier(event)?);
        if (first, length) == (0, u64::MAX - PAGE_SIZE + 1) {
            everything += 1;
        } else {
            ensure!(first == at, "not the next piece: {}", event.json());
            at += length;
        }
    }
    ensure!(
        (everything, at) == (1, end),
        "{everything} mirrors, looked at up to {at:#x} instead of {end:#x}"
    );
    for event in recording.of("mmu_interval_notifier_remove") {
        let removed = notifier(event)?;
        let place = watched.iter().position(|watched| *watched == removed);
        ensure!(place.is_some(), "never watched: {}", event.json());
        place.map(|place| watched.remove(place));
    }
    ensure!(watched.is_empty(), "still watched: {watched:x?}");
    Ok(())
}

fn notifier(event: &Event) -> anyhow::Result<[u64; 4]> {
    Ok([event.number("notifier")?, event.number("mm")?, event.number("start")?, event.number("length")?])
}

/// Parts of the workload's pages, in the order of their addresses: nothing holds those of the first, a pipe those of the
/// second, an `io_uring` those of the third; the last are locked into memory.
const PARTS: u64 = 4;

/// What a refused page's event says beside its page: step, reason, references, expected ones, mappings.
type Why = (String, String, [u64; 3]);

fn refused(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete("hmm-refused", &["migrate_vma_refused"])?;
    let (pid, pages) = session.pages()?;
    let of_a_part = pages.len() as u64 / PARTS;
    let part = |address: u64| {
        let place = pages.iter().position(|page| page.address == address);
        place.map(|place| place as u64 / of_a_part)
    };
    let mut counts = BTreeMap::new();
    for event in recording.of("migrate_vma_refused") {
        ensure!(event.has_word("source", "system")? && event.number("pages")? == 1, "{}", event.json());
        let (address, pfn) = (event.number("address")?, event.number("pfn")?);
        let number = |name| event.number(name);
        let numbers = [number("refcount")?, number("expected")?, number("mapcount")?];
        let why: Why = (event.text("step")?, event.text("refusal")?, numbers);
        let part = part(address);
        if part.is_some() {
            let is_page = pages.iter().any(|page| page.address == address && page.pfn == pfn);
            ensure!(is_page, "another page is at the address: {}", event.json());
        }
        *counts.entry((part, why)).or_insert(0) += 1;
    }
    // A pin is 1024 references of a page that stays mapped (GUP_PIN_COUNTING_BIAS, 6.12 include/linux/mm.h). A page that is
    // put back has one of its isolation and one more (migrate_device_unmap, mm/migrate_device.c).
    let why = |step: &str, reason: &str, numbers| -> Why { (step.to_owned(), reason.to_owned(), numbers) };
    let mut expected = BTreeMap::from([
        ((Some(1), why("unmap", "pinned", [3, 2, 0])), of_a_part),
        ((Some(2), why("collect", "pinned", [1025, 1, 1])), of_a_part),
        // One of the page cache, one of the isolation.
        ((None, why("pages", "not_anonymous", [2, 2, 0])), of_a_part),
    ]);
    let told = recording.of("migrate_vma_refused").count() as u64 - 3 * of_a_part;
    if told > 0 {
        // The driver can be told that it has no room for the first page of what is left (6.19 on).
        expected.insert((Some(1), why("pages", "no_destination", [1, 1, 0])), told);
    }
    ensure!(counts == expected && told <= 1, "{counts:?} instead of {expected:?}");
    let history: Value = serde_json::from_str(&session.text("history")?).context("no history")?;
    let entries = history["entries"].as_array().context("no entries")?;
    let is_refusal = |entry: &&Value| entry["event"]["event"] == "migrate_vma_refused";
    let refusals = entries.iter().filter(is_refusal).filter(|entry| entry["event"]["about"] == true);
    ensure!(refusals.count() == 1, "not one refusal in the history: {entries:?}");
    refused_in_report(&session, pid, &expected)
}

/// That the report has the same counts.
fn refused_in_report(
    session: &Session,
    pid: u32,
    expected: &BTreeMap<(Option<u64>, Why), u64>,
) -> anyhow::Result<()> {
    let report: Value = serde_json::from_str(&session.text("report")?).context("no report")?;
    let entries = report["device_memory"]["refused"]["entries"].as_array().context("none refused")?;
    ensure!(entries.len() == expected.len(), "not {} ways: {entries:?}", expected.len());
    for ((_, (step, reason, _)), pages) in expected {
        let is_it = |entry: &&Value| entry["step"] == *step && entry["reason"] == *reason;
        let entry =
            entries.iter().find(is_it).with_context(|| format!("no {step}, {reason}: {entries:?}"))?;
        ensure!(entry["pages"] == *pages && entry["pid"] == pid, "not {pages}: {entry}");
        ensure!(entry["way"] == "to device", "{entry}");
    }
    Ok(())
}
