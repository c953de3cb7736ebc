//! Print the number of events of each kind instead of the events.

use super::csv::quote;
use super::json::escape_json;
use super::write::{decimal, left, right, seconds};
use super::{Format, Line, Span};
use crate::escape::escape;
use crate::event::{Kind, Loss, LossCause, UnknownKinds, place};

/// Notation of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Tables for people.
    Text,
    /// One object a line.
    Json,
    /// Rows with that separator.
    Csv(u8),
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    number: u64,
    first: u64,
    last: u64,
}

/// Counts of events by kind, written at the end.
#[derive(Debug)]
pub struct Counts {
    notation: Notation,
    kinds: [Count; Kind::ALL.len()],
    losses: [u64; 3],
    unknown: UnknownKinds,
}

impl Counts {
    /// Nothing counted yet.
    pub fn new(notation: Notation) -> Self {
        Self {
            notation,
            kinds: [Count::default(); Kind::ALL.len()],
            losses: [0; 3],
            unknown: UnknownKinds::default(),
        }
    }
}

impl Format for Counts {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn event(&mut self, line: &Line<'_>, _out: &mut Vec<u8>) {
        let count = &mut self.kinds[place(line.event.kind())];
        if count.number == 0 {
            count.first = line.since_start;
        }
        count.number += 1;
        count.last = line.since_start;
    }

    fn loss(&mut self, loss: &Loss, _span: Span, _out: &mut Vec<u8>) {
        let count = &mut self.losses[loss.cause as usize];
        *count = count.saturating_add(loss.count);
        self.unknown.add(loss);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let mut lines: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), self.kinds[place(*kind)]))
            .filter(|(_, count)| count.number > 0)
            .collect();
        lines.sort_by_key(|(_, count)| std::cmp::Reverse(count.number));
        match self.notation {
            Notation::Text => {
                out.extend_from_slice(
                    b"EVENT                          COUNT       FIRST(s)        LAST(s)\n",
                );
            }
            Notation::Csv(separator) => {
                out.extend_from_slice(
                    ["event", "count", "first", "last"].join(&char::from(separator).to_string()).as_bytes(),
                );
                out.push(b'\n');
            }
            Notation::Json => {}
        }
        for (name, count) in lines {
            self.line(out, name, count, true);
        }
        for (cause, number) in
            [LossCause::Lost, LossCause::Missed, LossCause::Dropped].into_iter().zip(self.losses)
        {
            if number > 0 {
                let count = Count { number, first: 0, last: 0 };
                self.line(out, super::text::loss_reason(cause).0, count, false);
            }
        }
        for (name, number) in self.unknown.by_name() {
            self.line(out, &format!("unknown kind {name}"), Count { number, first: 0, last: 0 }, false);
        }
    }
}

impl Counts {
    fn line(&self, out: &mut Vec<u8>, name: &str, count: Count, times: bool) {
        match self.notation {
            Notation::Text => {
                left(out, 23, |out| escape(out, name, false));
                right(out, 13, |out| decimal(out, count.number));
                if times {
                    right(out, 15, |out| seconds(out, count.first));
                    right(out, 15, |out| seconds(out, count.last));
                }
            }
            Notation::Csv(separator) => {
                let mut cell = Vec::new();
                escape(&mut cell, name, false);
                quote(out, &cell, separator, true);
                out.push(separator);
                decimal(out, count.number);
                out.push(separator);
                if times {
                    seconds(out, count.first);
                }
                out.push(separator);
                if times {
                    seconds(out, count.last);
                }
            }
            Notation::Json => {
                let object = if times {
                    serde_json::json!({ "type": "count", "event": name, "count": count.number,
                                        "first": count.first, "last": count.last })
                } else {
                    serde_json::json!({ "type": "count", "event": name, "count": count.number })
                };
                out.extend_from_slice(escape_json(&object.to_string()).as_bytes());
            }
        }
        out.push(b'\n');
    }
}
