//! virtme-ng, in a Python environment of its own.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, process};

const VERSION: &str = "1.42";

/// Whether this version is there.
pub fn installed() -> bool {
    cache::venv().join("bin/vng").is_file() && stamp().is_file()
}

/// Written when pip was done, so that an interrupted installation is repeated.
fn stamp() -> std::path::PathBuf {
    cache::venv().join(format!("virtme-ng-{VERSION}"))
}

/// What to type.
pub fn command_line() -> String {
    let venv = cache::venv();
    format!(
        "python3 -m venv {0} && {0}/bin/pip install virtme-ng=={VERSION} && touch {1}",
        venv.display(),
        stamp().display()
    )
}

/// Creates the environment and installs virtme-ng with pip.
pub fn install() -> Result<()> {
    let venv = cache::venv();
    process::run(
        "creating a Python environment",
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
    )?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).arg(format!("virtme-ng=={VERSION}"));
    process::run(&format!("installing virtme-ng {VERSION}"), pip.stdout(std::io::stderr()))?;
    std::fs::write(stamp(), "").with_context(|| stamp().display().to_string())
}
