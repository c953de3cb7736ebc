//! The live screen, as a terminal had it.

use anyhow::{Context, ensure};
use rmapscope_tests::workload::Count;

use super::{Check, Run, of_the_program_once};
use crate::recording::Session;

pub const CHECKS: &[Check] = &[
    Check {
        name: "the screen has exact counts, and does what keys ask",
        applies: of_the_program_once,
        sessions: &["top"],
        judge: screens,
    },
    Check {
        name: "the terminal is given back on every way out of the screen",
        applies: of_the_program_once,
        sessions: &["top"],
        judge: terminal,
    },
    Check {
        name: "without a terminal there is no screen, and the way to do without one is said",
        applies: of_the_program_once,
        sessions: &["top-no-terminal"],
        judge: no_terminal,
    },
];

/// The session, which has seen all that it waited for.
fn open(run: &Run<'_>) -> anyhow::Result<Session> {
    let session = run.session("top")?;
    if let Ok(reason) = session.text("skipped") {
        anyhow::bail!("{reason}");
    }
    if let Ok(unseen) = session.text("unseen") {
        let screens = unseen.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name));
        let screens: Vec<String> = screens.map(|name| session.text(name).unwrap_or_default()).collect();
        anyhow::bail!("{unseen}{}", screens.join("\n"));
    }
    Ok(session)
}

/// The line of a screen that has this text, and the place of it.
fn line<'a>(screen: &'a str, text: &str) -> anyhow::Result<(usize, &'a str)> {
    let found = screen.lines().enumerate().find(|(_, line)| line.contains(text));
    found.with_context(|| format!("no line has {text}:\n{screen}"))
}

/// The count in the row that has this text; rates stand before it.
fn count(screen: &str, text: &str) -> anyhow::Result<u64> {
    let (_, line) = line(screen, text)?;
    let rest = line.split_once(text).map_or("", |(_, rest)| rest);
    let count = rest.split_whitespace().nth(1).context("a row without a count")?;
    Ok(count.parse()?)
}

/// How that work's process is called on the screen, and how often it was walked for.
fn work(session: &Session, label: &str) -> anyhow::Result<(String, u64)> {
    let counts = session.counts()?;
    let of_it = |count: &&Count| count.label == label && count.event == "try_to_unmap" && count.exact;
    let count = counts.iter().find(of_it).with_context(|| format!("{label} stated no count"))?;
    let pid = count.pid.context("a count of no process")?;
    Ok((format!("{pid} rmapscope-workl"), count.expected))
}

fn screens(run: &Run<'_>) -> anyhow::Result<()> {
    let session = open(run)?;
    let [many, few, unseen] = [work(&session, "many")?, work(&session, "few")?, work(&session, "unseen")?];
    let by_count = session.text("count")?;
    for (row, expected) in [&many, &few] {
        let seen = count(&by_count, row)?;
        ensure!(seen == *expected, "{row}: {seen} instead of {expected}:\n{by_count}");
    }
    line(&by_count, "lost 0  missed 0  dropped 0  unpaired 0  (other) 0")?;
    let place = |screen: &str, row: &str| line(screen, row).map(|(place, _)| place);
    let reversed = session.text("reversed")?;
    ensure!(place(&by_count, &many.0)? < place(&by_count, &few.0)?, "not the largest first:\n{by_count}");
    ensure!(place(&reversed, &few.0)? < place(&reversed, &many.0)?, "not the smallest first:\n{reversed}");

    let rows = |name: &str| -> anyhow::Result<Vec<String>> {
        Ok(session.text(name)?.lines().skip(3).map(str::to_owned).collect())
    };
    ensure!(rows("paused")? == rows("still")?, "a pause shows other rows:\n{}", session.text("still")?);
    let seen = count(&session.text("resumed")?, &unseen.0)?;
    ensure!(seen == unseen.1, "{seen} instead of {} after a pause", unseen.1);
    let filtered = session.text("filtered")?;
    ensure!(line(&filtered, &many.0).is_ok() && line(&filtered, &few.0).is_err(), "{filtered}");

    line(&session.text("gone")?, "there is no process")?;
    let slots = session.text("slots")?;
    let (bounced, highest) = (session.text("bounced")?, session.text("highest")?);
    // Before 6.4 there is no such file.
    let is_kept = highest.trim() != "0";
    ensure!(bounced.contains("pools: swiotlb ") == is_kept, "the kernel says {highest:?}:\n{bounced}");
    ensure!(
        !is_kept || bounced.contains(&format!("/{} slots", slots.trim())),
        "not {slots} slots:\n{bounced}"
    );
    let (_, expected) = work(&session, "anew")?;
    let event = session.text("event")?;
    let seen = count(&event, "try_to_unmap ")?;
    ensure!(seen == expected, "{seen} instead of {expected} by event:\n{event}");
    Ok(())
}

fn terminal(run: &Run<'_>) -> anyhow::Result<()> {
    let session = open(run)?;
    ensure!(session.text("alternate")?.trim() == "1", "the screen is not the terminal's other one");
    let before = session.text("stty")?;
    for way in ["keys", "term", "pools", "hup", "command"] {
        ensure!(session.text(&format!("{way}-stty"))? == before, "{way}: the terminal's settings are others");
        ensure!(session.text(&format!("{way}-alternate"))?.trim() == "0", "{way}: the screen is still there");
        let status = session.text(&format!("{way}-status"))?;
        ensure!(status.trim() == "0", "{way}: status {status}");
    }
    let (_, expected) = work(&session, "command")?;
    let end = session.text("command-end")?;
    let (_, row) = line(&end, "rmapscope-workl")?;
    ensure!(row.contains(&format!(" {expected} ")), "not {expected} at the end:\n{end}");
    ensure!(session.text("command-said")? == "said\n", "what the command prints is not in its file");
    Ok(())
}

fn no_terminal(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("top-no-terminal")?;
    session.expect_status(2)?;
    ensure!(session.said().contains("stat -I 1s"), "{}", session.said());
    Ok(())
}
