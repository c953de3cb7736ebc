//! Who is watched, as the programs want to be told.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use tracer_common::glob::Glob;
use tracer_common::globals::{MAX_PATTERNS, Options, WATCH_PROCESS, WATCH_THREAD};

use super::{named_tasks, watched};
use crate::Error;

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
    /// Functions that took less nanoseconds are not reported.
    pub min_latency: u64,
}

impl Filters {
    /// Fills in the constants of the programs.
    ///
    /// # Errors
    /// When a process or thread does not exist, a pattern is too long, or the directory is no cgroup.
    pub fn write(&self, options: &mut Options) -> Result<(), Error> {
        let Self { pids, tids, names, cgroup, follow_children, min_latency } = self;
        named_tasks::check(pids, tids)?;
        if names.len() > MAX_PATTERNS {
            return Err(Error::failure(
                format!("{} process names were given; the kernel side takes {MAX_PATTERNS}", names.len()),
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
            (options.cgroup, options.cgroup_level) = cgroup_id(directory)?;
        }
        options.filter_process = u8::from(!pids.is_empty());
        options.filter_thread = u8::from(!tids.is_empty());
        options.follow_children = u8::from(*follow_children);
        options.min_latency = *min_latency;
        Ok(())
    }

    /// Whether some processes or threads are named: their ids get new owners, which only forks tell.
    pub fn name_tasks(&self) -> bool {
        !self.pids.is_empty() || !self.tids.is_empty()
    }

    /// Tells the programs of the processes and threads; to be done when forks are seen already.
    ///
    /// # Errors
    /// When one has ended, or the kernel does not run the program that takes them.
    pub fn watch(&self, ebpf: &mut Ebpf) -> Result<(), Error> {
        let processes = self.pids.iter().map(|pid| (WATCH_PROCESS, *pid));
        let threads = self.tids.iter().map(|tid| (WATCH_THREAD, *tid));
        for (what, id) in processes.chain(threads) {
            watched::watch(ebpf, what, id)?;
        }
        Ok(())
    }
}

/// `CGROUP2_SUPER_MAGIC` (include/uapi/linux/magic.h).
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// Id and depth of a cgroup. The id is its inode number (fs/kernfs, 64-bit inode numbers since 5.5).
fn cgroup_id(directory: &Path) -> Result<(u64, u32), Error> {
    let failed = |error: io::Error| {
        Error::failure(
            format!("{}: {error}", directory.display()),
            "give a directory of the cgroup v2 tree, mostly below /sys/fs/cgroup",
        )
    };
    let directory_path = directory.canonicalize().map_err(failed)?;
    let metadata = directory_path.metadata().map_err(failed)?;
    if file_system(&directory_path).map_err(failed)? != CGROUP2_MAGIC || !metadata.is_dir() {
        return Err(failed(io::Error::other("it is no cgroup v2 directory")));
    }
    let level = directory_path
        .ancestors()
        .skip(1)
        .take_while(|ancestor| ancestor.metadata().is_ok_and(|above| above.dev() == metadata.dev()))
        .count();
    Ok((metadata.ino(), level as u32))
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
