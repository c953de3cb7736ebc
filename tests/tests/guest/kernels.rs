//! The kernels of a run: `RMAPSCOPE_KERNELS` has a line for each, with its name, its image, perhaps the
//! configurations that are wanted of it, and the folder of the selftests that it runs.

use std::path::PathBuf;
use std::sync::LazyLock;

use xtask::architecture::Architecture;

use crate::boot::Configuration;

/// A kernel that guests boot.
#[derive(Debug)]
pub struct Kernel {
    /// As `--kernel` takes it.
    pub name: String,
    /// None where the environment names no kernels: its tests are ignored then.
    pub image: Option<PathBuf>,
    only: Option<String>,
    /// The folder of the selftests for it; none where no verdicts are wanted of it.
    pub selftests: Option<PathBuf>,
}

static ALL: LazyLock<Vec<Kernel>> = LazyLock::new(|| match std::env::var("RMAPSCOPE_KERNELS") {
    Ok(lines) => lines.lines().filter_map(parse).collect(),
    Err(_) => xtask::kernel::TESTED.iter().map(|(name, only)| kernel(name, None, *only, None)).collect(),
});

/// All of them.
pub fn all() -> &'static [Kernel] {
    &ALL
}

/// Whether a kernel has the test driver for device memory, built in or beside it; those of the usual run have.
pub fn has_test_driver(name: &str) -> bool {
    match all().iter().find(|kernel| kernel.name == name).and_then(|kernel| kernel.image.as_ref()) {
        Some(image) => xtask::kernel::has_test_driver(image),
        None => name == xtask::kernel::HMM || name == xtask::kernel::LATEST,
    }
}

fn parse(line: &str) -> Option<Kernel> {
    let mut words = line.split('\t');
    let (name, image, only) = (words.next()?, words.next()?, words.next());
    let selftests = words.next().filter(|folder| !folder.is_empty()).map(PathBuf::from);
    Some(kernel(name, Some(image.into()), only, selftests))
}

fn kernel(name: &str, image: Option<PathBuf>, only: Option<&str>, selftests: Option<PathBuf>) -> Kernel {
    Kernel { name: name.into(), image, only: only.map(str::to_owned), selftests }
}

impl Kernel {
    /// How it is booted: once for each.
    pub fn configurations(&self) -> impl Iterator<Item = Configuration> {
        const EVERY: [Configuration; 3] =
            [Configuration::Recordings, Configuration::KprobeRecordings, Configuration::Verdicts];
        let (every, special): (&[Configuration], &[Configuration]) = match self.name.as_str() {
            "6.12" => (&EVERY, &[Configuration::Lockdown]),
            xtask::kernel::LATEST => (&EVERY, &[Configuration::ManyCpus]),
            xtask::kernel::HMM => (&EVERY, &[Configuration::LittleRoom, Configuration::Mutants]),
            // Its root is not this machine's.
            xtask::kernel::RESTRICTED => (&[], &[Configuration::RestrictedPool]),
            xtask::kernel::PAGES_16K | xtask::kernel::PAGES_64K => (&[], &[Configuration::LargePages]),
            name if Architecture::of_kernel(name) == Architecture::Arm64 => {
                (&[], &[Configuration::StockArm64])
            }
            _ => (&EVERY, &[]),
        };
        let wanted = |one: &Configuration| {
            let only = self.only.as_deref().filter(|only| !only.is_empty());
            only.is_none_or(|only| only.split(',').any(|name| name == one.name()))
        };
        every.iter().chain(special).copied().filter(wanted)
    }
}
