//! Stock kernels of Debian's newer suites: downloaded and unpacked into the cache, not installed, each kept by
//! what it was made from.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::inputs::Hash;
use super::release::{Release, ShortName};
use super::{guest_modules, test_hmm};
use crate::architecture::Architecture;
use crate::archive::Suite;
use crate::prerequisite::Missing;
use crate::setup::{self, Group};
use crate::{cache, process};

/// Why a kernel that could have `test_hmm` came without it.
const FAILURE: &str = "test_hmm.failed";

/// Modules of hardware that no guest has, or that udev would load there for nothing: without them depmod and the
/// guest's boot take half the time.
const NEEDLESS: [&str; 24] = [
    "arch/x86/kvm",
    "drivers/ata",
    "drivers/bluetooth",
    "drivers/gpu",
    "drivers/hwmon",
    "drivers/i2c",
    "drivers/iio",
    "drivers/infiniband",
    "drivers/input",
    "drivers/isdn",
    "drivers/media",
    "drivers/mfd",
    "drivers/mtd",
    "drivers/net/ethernet",
    "drivers/net/wireless",
    "drivers/platform",
    "drivers/rtc",
    "drivers/scsi",
    "drivers/staging",
    "drivers/thunderbolt",
    "drivers/usb",
    "drivers/video",
    "drivers/watchdog",
    "sound",
];

/// What the archive has for the kernel's architecture, and for this machine's.
struct Archive {
    suite: Suite,
    tools: Suite,
}

/// The image, downloaded if the archive has a newer one than the cache.
pub fn ensure(name: &ShortName) -> Result<PathBuf> {
    setup::ensure(if name.architecture.is_native() {
        &[Group::Stock]
    } else {
        &[Group::Stock, Group::Arm64]
    })?;
    let suite = Suite::newer_kernels(name.architecture)?;
    let tools = Suite::newer_kernels(Architecture::native())?;
    let release = choose(name, &suite)?;
    let packages = packages(&release, &suite)?;
    let driver = test_hmm::Packages::of(&release, &suite, &tools)?;
    let archive = Archive { suite, tools };
    let place =
        folder().join(format!("{}-{}", release.text, key(&release, &packages, driver.as_ref(), &archive)?));
    let lock = File::create(folder().with_extension("lock")).context("lock of the stock kernels")?;
    lock.lock().context("lock of the stock kernels")?;
    if !place.exists() {
        unpack(&release, &packages, driver.as_ref(), &archive, &place)?;
    }
    if let Ok(reason) = fs::read_to_string(place.join(FAILURE)) {
        eprintln!(
            "xtask: Linux {} comes without test_hmm: {}\nxtask: remove {} to try again",
            release.text,
            reason.trim(),
            place.display()
        );
    }
    image(&place, &release)
}

fn folder() -> PathBuf {
    cache::kernels().join("stock")
}

/// The newest release in the archive that has the name.
fn choose(name: &ShortName, suite: &Suite) -> Result<Release> {
    let names = suite.names("linux-image-")?;
    let releases = || names.iter().filter_map(|name| Release::parse(name.strip_prefix("linux-image-")?));
    name.newest(releases()).ok_or_else(|| {
        let mut series: Vec<Release> =
            releases().filter(|release| release.architecture == name.architecture).collect();
        series.sort_by_key(Release::order);
        let mut series: Vec<String> = series.iter().map(Release::series).collect();
        series.dedup();
        Missing::new(
            format!("Debian's archive has no kernel {name}"),
            format!("one of {}, each also with -rt or -cloud, or latest", series.join(", ")),
        )
        .into()
    })
}

/// Up to 6.18 all is in one package, since 6.19 that one only names image, modules and the rest.
fn packages(release: &Release, suite: &Suite) -> Result<Vec<String>> {
    let wanted = ["image", "binary", "modules", "base"].map(|part| format!("linux-{part}-{}", release.text));
    let mut list = Vec::new();
    for name in wanted {
        if suite.names(&name)?.contains(&name) {
            list.push(name);
        }
    }
    Ok(list)
}

/// Hash of everything that decides what is in the folder.
fn key(
    release: &Release,
    packages: &[String],
    driver: Option<&test_hmm::Packages>,
    archive: &Archive,
) -> Result<String> {
    let mut hash = Hash::new();
    let mut inputs = archive.suite.hashes(packages)?;
    if let Some(driver) = driver {
        inputs.extend(driver.inputs(release.architecture, &archive.suite, &archive.tools)?);
        hash.add(include_bytes!("test_hmm.rs"));
    }
    for input in inputs {
        hash.add(input.as_bytes());
    }
    hash.add(include_bytes!("guest_modules.rs"));
    hash.add(include_bytes!("stock.rs"));
    Ok(hash.name())
}

fn unpack(
    release: &Release,
    packages: &[String],
    driver: Option<&test_hmm::Packages>,
    archive: &Archive,
    place: &Path,
) -> Result<()> {
    fs::create_dir_all(folder()).with_context(|| folder().display().to_string())?;
    let scratch = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(folder())?;
    let root = scratch.path().join("kernel");
    archive.suite.unpack(packages, &root)?;
    for name in ["config", "vmlinuz"] {
        let older = root.join("boot").join(format!("{name}-{}", release.text));
        if older.exists() {
            // Where newer packages have it, and where the guest sees it: /boot is this machine's.
            fs::rename(older, modules(&root, release).join(name))?;
        }
    }
    // virtme-ng and depmod look for the modules below lib, Debian puts them below usr/lib.
    std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    if let Some(driver) = driver
        && has_device_memory(&root, release)?
    {
        let work = scratch.path().join("test_hmm");
        fs::create_dir(&work)?;
        match driver.build(release, &archive.suite, &archive.tools, &work) {
            Ok(module) => {
                let place = modules(&root, release).join(test_hmm::PLACE);
                fs::create_dir_all(place.parent().unwrap_or(&root))?;
                fs::rename(module, place)?;
            }
            Err(error) => fs::write(root.join(FAILURE), format!("{error:#}"))?,
        }
    }
    for needless in NEEDLESS {
        let folder = modules(&root, release).join("kernel").join(needless);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
    }
    let mut depmod = Command::new("depmod");
    depmod.arg("--basedir").arg(&root).arg(&release.text);
    process::run("depmod", &mut depmod)?;
    if !release.architecture.is_native() {
        guest_modules::list(&root, &modules(&root, release), &release.text)?;
    }
    fs::rename(&root, place).with_context(|| place.display().to_string())
}

fn modules(root: &Path, release: &Release) -> PathBuf {
    root.join("usr/lib/modules").join(&release.text)
}

/// Whether the kernel has what `test_hmm` drives.
fn has_device_memory(root: &Path, release: &Release) -> Result<bool> {
    let config = modules(root, release).join("config");
    let config = fs::read_to_string(&config).with_context(|| config.display().to_string())?;
    Ok(config.lines().any(|line| line == "CONFIG_DEVICE_PRIVATE=y"))
}

fn image(root: &Path, release: &Release) -> Result<PathBuf> {
    let image = modules(root, release).join("vmlinuz");
    ensure!(image.exists(), "Debian's packages of {} have no image in {}", release.text, root.display());
    Ok(image)
}
