//! What is known at one place of the stream, and evidence made of it.

use tracer_common::event::Header;

use super::facts::Facts;
use super::state::State;
use super::{Actor, Earlier, Evidence};
use crate::event::{Event, Names, Role, Type, Value};
use crate::output::write_value;

/// Thread id of every CPU's idle thread.
const IDLE_TID: u32 = 0;

/// One place of the stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamContext<'a> {
    /// The kernel and the session.
    pub facts: &'a Facts,
    /// Who is who.
    pub names: &'a Names,
    /// What lives, as it was before the present event.
    pub state: &'a State,
    /// Time of the first event.
    pub start: u64,
}

impl StreamContext<'_> {
    /// Who made an event.
    pub fn actor(&self, header: &Header) -> Actor {
        let comm = match self.names.comm(header) {
            Some(comm) => comm.text().into_owned(),
            None if header.tid == IDLE_TID => format!("swapper/{}", header.cpu),
            None => String::new(),
        };
        Actor {
            time: header.time.saturating_sub(self.start),
            pid: header.pid,
            tid: header.tid,
            comm,
            cpu: header.cpu,
            stack: self.names.stack(header.stack).map(<[_]>::to_vec).unwrap_or_default(),
        }
    }

    /// An earlier event, in a few words.
    pub fn earlier(&self, header: &Header, what: impl Into<String>) -> Earlier {
        Earlier { what: what.into(), actor: self.actor(header) }
    }

    /// The name of a device; its address where it has none.
    pub fn device(&self, device: u64) -> String {
        self.names.device(device).map_or_else(|| format!("{device:#x}"), str::to_owned)
    }

    /// An event as evidence of `what`.
    pub fn evidence(&self, event: &Event, what: impl Into<String>) -> Evidence {
        let kind = event.kind();
        let body = event.body.bytes();
        let mut evidence = Evidence {
            what: what.into(),
            event: kind.name(),
            actor: self.actor(&event.header),
            owner_pid: None,
            address: None,
            pfn: None,
            device: None,
            fields: Vec::new(),
            before: Vec::new(),
        };
        for field in kind.fields() {
            let value = self.facts.decoder.value(field, body, self.names);
            let number = field.number(body);
            match (field.role, field.ty, &value) {
                (_, _, Value::Absent) => continue,
                (Some(Role::Address), _, Value::Hex(address)) => evidence.address = Some(*address),
                (Some(Role::Page | Role::VisitedPage), _, Value::Hex(pfn)) => evidence.pfn = Some(*pfn),
                (_, Type::Device, _) if number != 0 => evidence.device = Some(self.device(number)),
                (role, ..) => {
                    if role == Some(Role::Mm) {
                        evidence.owner_pid =
                            self.state.spaces.pid(number).filter(|pid| *pid != event.header.pid);
                    }
                    let mut text = Vec::new();
                    write_value(&mut text, &value, true);
                    let text = String::from_utf8_lossy(&text).into_owned();
                    evidence.fields.push((field.name.to_owned(), text));
                }
            }
        }
        evidence
    }
}
