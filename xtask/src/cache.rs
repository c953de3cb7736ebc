//! Where kernels, tools and the runs of guests are kept between commands.

use std::env;
use std::path::PathBuf;

/// The cache folder: `RMAPSCOPE_CACHE`, else `~/.cache/rmapscope`.
///
/// Guests see this machine's files at the same paths, except below `/tmp`, `/run` and `/var/tmp`, which are
/// empty there; so the folder must not lie in one of those.
pub fn folder() -> PathBuf {
    match env::var_os("RMAPSCOPE_CACHE") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => {
            let home = env::var_os("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| "/root".into());
            PathBuf::from(home).join(".cache/rmapscope")
        }
    }
}

/// Tools built for the project; its `bin` holds `bpf-linker`.
pub fn tools() -> PathBuf {
    folder().join("tools")
}

/// The Python environment that holds virtme-ng.
pub fn venv() -> PathBuf {
    folder().join("venv")
}

/// Kernels built for guests, and their sources.
pub fn kernels() -> PathBuf {
    folder().join("kernels")
}

/// Scratch folders of running guests.
pub fn runs() -> PathBuf {
    folder().join("runs")
}
