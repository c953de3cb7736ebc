//! Kernel stacks by the ids that the programs put into their records.

use aya::maps::{MapData, StackTraceMap};

use crate::event::{Frame, StackEntry};
use crate::kernel::Symbols;

/// Looks stacks up once each, at the first record that names them.
pub struct Stacks {
    map: StackTraceMap<MapData>,
    /// One bit for each id: sent already.
    sent: Vec<u64>,
}

impl Stacks {
    /// Takes the map over; its ids are below `entries`.
    pub fn new(map: StackTraceMap<MapData>, entries: u32) -> Self {
        Self { map, sent: vec![0; entries.div_ceil(64) as usize] }
    }

    /// The stack of a record's id when it has not been asked for before. Negative ids name none.
    pub fn first_seen(&mut self, id: i32, symbols: &Symbols) -> Option<StackEntry> {
        let index = u32::try_from(id).ok()?;
        let word = self.sent.get_mut(index as usize / 64)?;
        let bit = 1 << (index % 64);
        if *word & bit != 0 {
            return None;
        }
        *word |= bit;
        let stack = self.map.get(&index, 0).ok()?;
        let frames = stack.frames().iter().map(|frame| self::frame(frame.ip, symbols)).collect();
        Some(StackEntry { id, frames })
    }
}

fn frame(address: u64, symbols: &Symbols) -> Frame {
    match symbols.lookup(address) {
        Some(found) => Frame {
            address,
            symbol: Some(found.name.to_owned()),
            offset: found.offset,
            module: found.module.map(str::to_owned),
        },
        None => Frame { address, symbol: None, offset: 0, module: None },
    }
}
