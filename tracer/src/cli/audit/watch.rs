//! `audit --watch`: what came and went from one look to the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rmapscope::audit::{Change, Entry, Snapshot, Totals, difference, json, text, views};
use rmapscope::session::endings::Endings;
use rmapscope::session::monotonic_now;
use rmapscope::{Error, open_files};
use tokio::time::{MissedTickBehavior, interval};

use super::{Audit, print};

/// Process id and start time.
type Key = (u32, u64);

/// Looks again and again, until a signal, the number of looks asked for, or the end of the processes. Of each
/// kind, the most entries seen at one look are returned.
pub fn run(audit: &Audit<'_>, pause: Duration) -> Result<Totals, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| cannot("start", &error))?.block_on(watch(audit, pause))
}

async fn watch(audit: &Audit<'_>, pause: Duration) -> Result<Totals, Error> {
    let mut endings = Endings::listen().map_err(|error| cannot("hear signals", &error))?;
    let mut ticks = interval(pause.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watcher =
        Watcher { audit, start: Instant::now(), known: HashMap::new(), first: true, changes: [0; 2] };
    let mut most: Option<Totals> = None;
    let mut looks = 0;
    while audit.args.count.is_none_or(|count| looks < count) {
        tokio::select! {
            biased;
            _ = endings.next() => break,
            _ = ticks.tick() => {}
        }
        let (snapshots, totals) = match audit.look() {
            Ok(seen) => seen,
            // The process was there before.
            Err(_) if looks > 0 => (Vec::new(), Totals::default()),
            Err(error) => return Err(error),
        };
        looks += 1;
        let ended = !audit.args.all && snapshots.is_empty();
        watcher.compare(snapshots)?;
        match &mut most {
            None => most = Some(totals),
            Some(most) => raise(most, &totals),
        }
        if ended {
            audit.status.note("the process has ended");
            break;
        }
    }
    let [came, went] = watcher.changes;
    audit.status.note(&format!("{looks} looks; {came} entries came, {went} went"));
    Ok(most.unwrap_or_default())
}

fn cannot(what: &str, error: &std::io::Error) -> Error {
    let remedy = open_files::remedy(error, "close other programs and try again");
    Error::failure(format!("cannot {what}: {error}"), remedy)
}

/// Keeps the greater count of each kind, and of processes that could not be looked at.
fn raise(most: &mut Totals, now: &Totals) {
    for (kind, count) in &now.counts {
        let known = most.counts.entry(*kind).or_default();
        *known = (*known).max(*count);
    }
    most.denied = most.denied.max(now.denied);
}

/// What was seen last.
struct Watcher<'a> {
    audit: &'a Audit<'a>,
    start: Instant,
    known: HashMap<Key, Snapshot>,
    first: bool,
    /// Entries that came, and that went, since the first look.
    changes: [u64; 2],
}

impl Watcher<'_> {
    /// Prints the difference to the look before, and remembers this one.
    fn compare(&mut self, snapshots: Vec<Snapshot>) -> Result<(), Error> {
        let first = std::mem::take(&mut self.first);
        let mut out = String::new();
        if first && self.audit.args.json {
            json::header(&mut out, &self.audit.table);
        }
        let mut before = std::mem::take(&mut self.known);
        for snapshot in snapshots {
            let key = (snapshot.process.pid, snapshot.process.start);
            match before.remove(&key) {
                Some(old) => {
                    let (gone, come) = difference(&old.entries, &snapshot.entries);
                    self.print(&mut out, Change::Went, &old, &gone);
                    self.print(&mut out, Change::Came, &snapshot, &come);
                }
                None => {
                    let change = if first { Change::Stands } else { Change::Came };
                    self.print(&mut out, change, &snapshot, &snapshot.entries);
                }
            }
            self.known.insert(key, snapshot);
        }
        let mut ended: Vec<Snapshot> = before.into_values().collect();
        ended.sort_unstable_by_key(|snapshot| snapshot.process.pid);
        for snapshot in &ended {
            self.print(&mut out, Change::Went, snapshot, &snapshot.entries);
        }
        if out.is_empty() { Ok(()) } else { print(&out).map(|_| ()) }
    }

    fn print(&mut self, out: &mut String, change: Change, snapshot: &Snapshot, entries: &[Entry]) {
        match change {
            Change::Stands => {}
            Change::Came => self.changes[0] += entries.len() as u64,
            Change::Went => self.changes[1] += entries.len() as u64,
        }
        // Of an entry that is gone, the page has another life by now.
        let page_flags = self.audit.page_flags.as_ref().filter(|_| change != Change::Went);
        for view in views(snapshot, entries, self.audit.table.page_size, page_flags) {
            if self.audit.args.json {
                json::range(out, &view, Some((change, monotonic_now())));
            } else {
                text::change(out, change, self.start.elapsed(), &view);
            }
        }
    }
}
