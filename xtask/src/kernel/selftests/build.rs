//! Compiles selftests one by one, without the kernel's makefile, which writes into the source tree and wants every
//! library of every test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::source::Source;
use crate::cache;
use crate::kernel::progress;

/// Where they are in the kernel's source.
const FOLDER: &str = "tools/testing/selftests/mm";

/// What every test is linked with besides its own file: those of these that the source has.
const COMMON: [&str; 3] = ["vm_util.c", "thp_settings.c", "hugepage_settings.c"];

/// What the tests of userfaultfd are linked with, too.
const USERFAULTFD: &str = "uffd-common.c";

/// Seconds that each of the six tests of `migration` moves pages to and fro; 20 in the kernel's source.
const MIGRATION_SECONDS: u32 = 3;

/// What the selftests' makefile generates, by its names up to 6.12 and in 7.3. It would only say that there is a
/// liburing.
const GENERATED: [&str; 2] = ["local_config.h", "local_config.h_gen"];

/// gcc's options apart from paths. `_GNU_SOURCE` is what the selftests' makefile says.
const FLAGS: &[&str] = &[
    "-w",
    "-O2",
    "-static",
    "-no-pie",
    "-U_FORTIFY_SOURCE",
    "-D_GNU_SOURCE=",
    "-DLOCAL_CONFIG_HAVE_LIBURING",
];
const LIBRARIES: &[&str] = &["-luring", "-lnuma", "-lcap", "-lrt", "-lpthread", "-lm"];

/// Builds those of the tests that the source has, and puts the programs in `place`.
pub fn all(source: &Source, names: &[&str], place: &Path) -> Result<()> {
    let tree = source.unpacked()?;
    let folder = tree.join(FOLDER);
    let (there, absent): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| folder.join(format!("{name}.c")).exists());
    eprintln!("xtask: building the selftests of Linux {}: {}", source.series, there.join(", "));
    if !absent.is_empty() {
        eprintln!("xtask: Linux {} has no selftest {}", source.series, absent.join(", "));
    }
    let scratch = tempfile::Builder::new().prefix(".building-").tempdir_in(cache::folder())?;
    for name in GENERATED {
        fs::write(scratch.path().join(name), "")?;
    }
    let fresh = scratch.path().join("programs");
    fs::create_dir(&fresh)?;
    for name in there {
        let mut text =
            fs::read_to_string(folder.join(format!("{name}.c"))).with_context(|| format!("{name}.c"))?;
        if name == "migration" {
            text = with_seconds(&text, MIGRATION_SECONDS)?;
        }
        let main = scratch.path().join(format!("{name}.c"));
        fs::write(&main, text)?;
        let mut gcc = Command::new("gcc");
        gcc.args(FLAGS).arg("-I").arg(scratch.path()).arg("-I").arg(&tree);
        // Their own headers are named relative to their own folder or, in 7.3, to the one above.
        gcc.arg("-iquote").arg(&folder).arg("-I").arg(tree.join("tools/testing/selftests"));
        gcc.arg("-isystem").arg(tree.join("tools/include/uapi")).arg(&main).args(common(&folder, name));
        gcc.arg("-o").arg(fresh.join(name)).args(LIBRARIES);
        progress::run(&format!("building {name}"), &mut gcc, &scratch.path().join("log"))?;
    }
    fs::rename(&fresh, place).with_context(|| place.display().to_string())
}

fn common(folder: &Path, name: &str) -> Vec<PathBuf> {
    let userfaultfd = name.starts_with("uffd-").then_some(USERFAULTFD);
    let files = COMMON.into_iter().chain(userfaultfd).map(|file| folder.join(file));
    files.filter(|file| file.exists()).collect()
}

/// The source of `migration` with another running time.
fn with_seconds(source: &str, seconds: u32) -> Result<String> {
    let mut found = false;
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        if line.starts_with("#define RUNTIME") {
            found = true;
            text.push_str(&format!("#define RUNTIME ({seconds})"));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    ensure!(found, "migration.c does not define RUNTIME: its tests would run for an unknown time");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_time_is_replaced() {
        let text = with_seconds("a\n#define RUNTIME\t\t(20)\nb", 3).expect("there is one");
        assert_eq!(text, "a\n#define RUNTIME (3)\nb\n");
        assert!(with_seconds("a\n", 3).is_err());
    }

    #[test]
    fn a_test_is_linked_with_what_its_source_has() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for file in ["vm_util.c", "hugepage_settings.c", USERFAULTFD] {
            fs::write(folder.path().join(file), "").expect("written");
        }
        let names = |test| {
            let files = common(folder.path(), test);
            files.iter().filter_map(|file| file.file_name()?.to_str()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names("cow"), ["vm_util.c", "hugepage_settings.c"]);
        assert_eq!(names("uffd-unit-tests"), ["vm_util.c", "hugepage_settings.c", USERFAULTFD]);
    }
}
