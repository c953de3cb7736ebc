//! A ring that is much too small.

use anyhow::ensure;

use super::{Check, Run, always};

pub const CHECKS: &[Check] =
    &[Check { name: "seen and lost add up to emitted, exactly", applies: always, judge: loss }];

fn loss(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("loss")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    let expected: u64 = session
        .counts()?
        .iter()
        .filter(|count| count.event == "try_to_unmap")
        .map(|count| count.expected)
        .sum();

    let seen = recording.of("try_to_unmap").count() as u64;
    let lost = recording.total("lost", "rmap")?;
    let emitted = recording.total("emitted", "rmap")?;
    ensure!(lost > 0, "a ring of one page lost nothing: the test shows nothing");
    ensure!(seen > 0, "not one event was seen");
    ensure!(seen + lost == emitted, "{seen} seen and {lost} lost are not {emitted} emitted");
    ensure!(emitted == expected, "{emitted} emitted, but the workload unmapped {expected} pages");

    let mut in_place = 0;
    for line in recording.lines("loss") {
        if line["cause"] == "lost" && line["family"] == "rmap" {
            in_place += line["count"].as_u64().unwrap_or(0);
        }
    }
    ensure!(in_place == lost, "loss records of {in_place} events, the summary has {lost}");
    let status = session.text("stderr")?;
    ensure!(status.contains(&lost.to_string()), "the end of the session does not name the loss: {status}");
    Ok(())
}
