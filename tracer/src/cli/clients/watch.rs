//! Looks, one after the other, with the time between them.

use std::time::Duration;

use rmapscope::Error;
use rmapscope::clients::{Looks, Tracker};
use rmapscope::session::endings::{Endings, cannot_wait};
use tokio::time::{MissedTickBehavior, interval};

use super::super::live::runtime;
use super::Clients;

/// Looks and prints as often as is asked for, or until a signal.
pub fn run(clients: &Clients<'_>) -> Result<u8, Error> {
    runtime()?.block_on(watch(clients))
}

/// How often is looked, and from which look on it is printed.
struct Plan {
    pause: Duration,
    most: Option<u64>,
    first_printed: u64,
}

fn plan(clients: &Clients<'_>) -> Plan {
    let args = clients.args;
    match args.watch {
        Some(pause) => Plan { pause, most: args.count, first_printed: 1 },
        None if args.once => Plan { pause: args.interval, most: Some(1), first_printed: 1 },
        // The first one only makes a beginning.
        None => Plan { pause: args.interval, most: Some(2), first_printed: 2 },
    }
}

async fn watch(clients: &Clients<'_>) -> Result<u8, Error> {
    let plan = plan(clients);
    let mut endings = Endings::listen().map_err(cannot_wait)?;
    let mut ticks = interval(plan.pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut tracker) = (Looks::default(), Tracker::default());
    let mut count = 0;
    while plan.most.is_none_or(|most| count < most) {
        tokio::select! {
            biased;
            _ = endings.next() => break,
            _ = ticks.tick() => {}
        }
        let look = clients.look(&mut looks)?;
        count += 1;
        if count == 1 {
            clients.introduce(&look);
        }
        let sight = tracker.next(look);
        if count >= plan.first_printed {
            clients.print(&sight, count == plan.first_printed)?;
        }
    }
    Ok(0)
}
