//! Who was told to a timeline already: names of processes and threads, each once.

use rustc_hash::FxHashMap;

use crate::event::{Comm, Header, Names};

/// A name that is new or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A process, by its id.
    Process(u32),
    /// A thread, by the ids of its process and its own.
    Thread(u32, u32),
}

/// Names that were told.
#[derive(Debug, Default)]
pub struct Threads {
    processes: FxHashMap<u32, Option<Comm>>,
    threads: FxHashMap<(u32, u32), Option<Comm>>,
}

impl Threads {
    /// What has to be told before an event of that thread is: nothing, most of the time.
    pub fn follow(&mut self, header: &Header, names: &Names) -> Vec<(Named, String)> {
        let comm = names.comm(header);
        let mut news = Vec::new();
        let leader = Header { tid: header.pid, ..*header };
        // The idle threads of all CPUs are one process without a name of its own.
        let process = if header.pid == 0 { None } else { names.comm(&leader).or(comm) };
        if Self::is_new(&mut self.processes, header.pid, process) {
            let name = if header.pid == 0 { "idle".to_owned() } else { text(process, header.pid) };
            news.push((Named::Process(header.pid), name));
        }
        let thread = if header.tid == 0 { None } else { comm };
        if Self::is_new(&mut self.threads, (header.pid, header.tid), thread) {
            let name = if header.tid == 0 { "swapper".to_owned() } else { text(thread, header.tid) };
            news.push((Named::Thread(header.pid, header.tid), name));
        }
        news
    }

    fn is_new<K: std::hash::Hash + Eq>(
        known: &mut FxHashMap<K, Option<Comm>>,
        key: K,
        comm: Option<&Comm>,
    ) -> bool {
        match known.get(&key) {
            // A name that is forgotten because its thread has ended is no news.
            Some(before) if comm.is_none() || before.as_ref() == comm => false,
            _ => {
                known.insert(key, comm.cloned());
                true
            }
        }
    }
}

fn text(comm: Option<&Comm>, id: u32) -> String {
    comm.map_or_else(|| format!("<{id}>"), |comm| comm.text().into_owned())
}
