//! Who is watched, as the programs want to be told.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use tracer_common::glob::Glob;
use tracer_common::globals::{MAX_PATTERNS, Options, WATCH_PROCESS, WATCH_THREAD};

use super::ask::ask;
use super::namespaces::Ids;
use super::{named_tasks, processes, watched};
use crate::Error;
use crate::event::ProcessEntry;

/// Which tasks are watched. Those that are named in several ways must fit all of them. The swiotlb family is
/// never filtered: device I/O has no process.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Processes, with all their threads.
    pub pids: Vec<u32>,
    /// Threads.
    pub tids: Vec<u32>,
    /// Process names: patterns with `*` and `?`, of which one must match.
    pub names: Vec<String>,
    /// A directory of the cgroup v2 tree; tasks in it and below.
    pub cgroup: Option<PathBuf>,
    /// Children of watched processes are watched too.
    pub follow_children: bool,
    /// And those that they have already.
    pub living_children: bool,
    /// Functions that took less nanoseconds are not reported.
    pub min_latency: u64,
}

impl Filters {
    /// Fills in the constants of the programs.
    ///
    /// # Errors
    /// When a process or thread does not exist, a pattern is too long, or the directory is no cgroup.
    pub fn write(&self, options: &mut Options) -> Result<(), Error> {
        let Self { pids, tids, names, cgroup, follow_children, living_children: _, min_latency } = self;
        named_tasks::check(pids, tids)?;
        if names.len() > MAX_PATTERNS {
            return Err(Error::failure(
                format!("{} process names were given; at most {MAX_PATTERNS} are supported", names.len()),
                "use a wider pattern, or filter the trace with `rmapscope script --comm`",
            ));
        }
        for (slot, name) in options.patterns.iter_mut().zip(names) {
            *slot = Some(name).filter(|name| !name.starts_with('!')).and_then(|name| Glob::compile(name.as_bytes())).ok_or_else(
                || {
                    Error::failure(
                        format!("`{}` cannot be a pattern for process names", name.escape_debug()),
                        "give 1 to 15 bytes, with * and ? as wildcards; to leave names out, filter the trace with \
                         `rmapscope script --comm '!NAME'`",
                    )
                },
            )?;
        }
        options.pattern_count = names.len() as u32;
        if let Some(directory) = cgroup {
            options.cgroup = Cgroup::find(directory)?.id;
        }
        options.filter_process = u8::from(!pids.is_empty());
        options.filter_thread = u8::from(!tids.is_empty());
        options.filter_more = u8::from(!tids.is_empty() || !names.is_empty() || cgroup.is_some());
        options.follow_children = u8::from(*follow_children);
        options.min_latency = *min_latency;
        Ok(())
    }

    /// Fills in what only programs in the kernel can tell: ids outside this process's namespaces. Whether it is
    /// other than it was, so that the object must be loaded again.
    ///
    /// # Errors
    /// A prerequisite when something cannot be told.
    pub fn settle(&self, ebpf: &mut Ebpf, ids: &Ids, options: &mut Options) -> Result<bool, Error> {
        let level = match &self.cgroup {
            Some(directory) => Cgroup::find(directory)?.level(ebpf)?,
            None => 0,
        };
        let settled = (ids.own(ebpf)?, level);
        let is_new = settled != (options.tracer_pid, options.cgroup_level);
        (options.tracer_pid, options.cgroup_level) = settled;
        Ok(is_new)
    }

    /// Whether some processes or threads are named: their ids get new owners, which only forks tell.
    pub fn name_tasks(&self) -> bool {
        !self.pids.is_empty() || !self.tids.is_empty()
    }

    /// Tells the programs of the processes and threads; to be done when forks are seen already.
    ///
    /// # Errors
    /// When one has ended, or the kernel does not run the program that takes them.
    pub fn watch(&self, ebpf: &mut Ebpf, ids: &Ids) -> Result<(), Error> {
        let processes = self.pids.iter().map(|pid| (WATCH_PROCESS, *pid));
        let threads = self.tids.iter().map(|tid| (WATCH_THREAD, *tid));
        for (what, id) in processes.chain(threads) {
            watched::watch(ebpf, ids, what, id)?;
        }
        if self.living_children {
            self.watch_children(ebpf, ids);
        }
        Ok(())
    }

    /// Watches the living descendants of the processes that are watched. The children that these have from then on are
    /// seen; so it is done until nobody new is found.
    fn watch_children(&self, ebpf: &mut Ebpf, ids: &Ids) {
        let mut watched: HashSet<u32> = self.pids.iter().copied().collect();
        loop {
            let is_new = |watched: &HashSet<u32>, entry: &ProcessEntry| {
                watched.contains(&entry.parent) && !watched.contains(&entry.pid)
            };
            let living = processes::living();
            let children: Vec<u32> =
                living.iter().filter(|entry| is_new(&watched, entry)).map(|entry| entry.pid).collect();
            if children.is_empty() {
                return;
            }
            for child in children {
                // One that has ended meanwhile has nothing more to be seen.
                if watched.insert(child) {
                    let _ = watched::watch(ebpf, ids, WATCH_PROCESS, child);
                }
            }
        }
    }
}

/// `CGROUP2_SUPER_MAGIC` (include/uapi/linux/magic.h).
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// A cgroup, and where its file system shows it.
struct Cgroup {
    /// Its inode number is its id (fs/kernfs, 64-bit inode numbers since 5.5).
    id: u64,
    /// Id of the topmost cgroup that the file system shows here: in a container or a cgroup namespace not the root.
    top: u64,
    /// Depth below that.
    depth: u32,
}

/// Depth of cgroups that are looked at.
const DEEPEST: u32 = 256;

impl Cgroup {
    fn find(directory: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::failure(
                format!("{}: {error}", directory.display()),
                "give a directory of the cgroup v2 tree, usually below /sys/fs/cgroup",
            )
        };
        let path = directory.canonicalize().map_err(failed)?;
        let metadata = path.metadata().map_err(failed)?;
        if file_system(&path).map_err(failed)? != CGROUP2_MAGIC || !metadata.is_dir() {
            return Err(failed(io::Error::other("it is not a cgroup v2 directory")));
        }
        let above = path.ancestors().skip(1).map_while(|ancestor| ancestor.metadata().ok());
        let (top, depth) = above
            .take_while(|above| above.dev() == metadata.dev())
            .fold((metadata.ino(), 0), |(_, depth), above| (above.ino(), depth + 1));
        Ok(Self { id: metadata.ino(), top, depth })
    }

    /// Depth below the root of the kernel's tree. Its topmost visible cgroup is looked for among the ancestors of
    /// this process, which only the kernel knows.
    fn level(&self, ebpf: &mut Ebpf) -> Result<u32, Error> {
        let unknown = |reason: &str| {
            Error::prerequisite(
                format!("the depth of the cgroup in the kernel's tree is unknown: {reason}"),
                "run rmapscope in the host's cgroup namespace, with a path below /sys/fs/cgroup",
            )
        };
        for level in 0..DEEPEST {
            if ask(ebpf, "ancestor", &[level.into(), self.top]).map_err(|reason| unknown(&reason))? == 1 {
                return Ok(level + self.depth);
            }
        }
        Err(unknown("rmapscope itself is not below the topmost cgroup that is mounted here"))
    }
}

fn file_system(path: &Path) -> io::Result<i64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut statistics = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a NUL-terminated path and a place for the answer.
    if unsafe { libc::statfs(path.as_ptr(), statistics.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled in by the successful call.
    Ok(unsafe { statistics.assume_init() }.f_type)
}

#[cfg(test)]
mod tests {
    use tracer_common::globals::Globals;

    use super::*;

    fn write(filters: &Filters) -> Result<Options, Error> {
        let mut options = Globals::EMPTY.options;
        filters.write(&mut options).map(|()| options)
    }

    #[test]
    fn names_become_patterns() {
        let options =
            write(&Filters { names: vec!["kswapd*".into(), "hmm".into()], ..Filters::default() }).unwrap();
        assert_eq!(options.pattern_count, 2);
        assert!(options.patterns[0].matches(b"kswapd0") && !options.patterns[1].matches(b"kswapd0"));
        assert_eq!(options.filter_process, 0);
    }

    #[test]
    fn impossible_names_are_refused() {
        for name in ["", "1234567890123456", "!kswapd0"] {
            assert!(write(&Filters { names: vec![name.into()], ..Filters::default() }).is_err(), "{name}");
        }
        assert!(write(&Filters { names: vec!["a".into(); MAX_PATTERNS + 1], ..Filters::default() }).is_err());
    }

    #[test]
    fn processes_must_exist() {
        assert_eq!(
            write(&Filters { pids: vec![std::process::id()], ..Filters::default() }).unwrap().filter_process,
            1
        );
        let error = write(&Filters { pids: vec![0], ..Filters::default() }).unwrap_err();
        assert!(error.cause.contains("no process 0"), "{}", error.cause);
        assert!(write(&Filters { tids: vec![0], ..Filters::default() }).is_err());
    }

    #[test]
    fn ordinary_directories_are_no_cgroups() {
        assert!(write(&Filters { cgroup: Some("/tmp".into()), ..Filters::default() }).is_err());
        assert!(write(&Filters { cgroup: Some("/no/such".into()), ..Filters::default() }).is_err());
    }
}
