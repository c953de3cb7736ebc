//! The configuration that a kernel was built with.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::SystemFiles;

/// Largest configuration that is read, in bytes; distributions' have 0.3 million.
const MAX_BYTES: u64 = 8 << 20;

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A kernel's `.config`.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The file it came from.
    pub source: String,
    text: String,
}

impl Configuration {
    /// The running kernel's: from the kernel itself (`/proc/config.gz`) where it was built with
    /// CONFIG_IKCONFIG_PROC, else from the file that its package installed. `None` when none is readable.
    pub fn find(system: &SystemFiles) -> Option<Self> {
        let release = system.release();
        packed(system)
            .map(|text| Self { source: "/proc/config.gz".to_owned(), text })
            .or_else(|| {
                [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")]
                    .into_iter()
                    .find_map(|source| system.text(&source).ok().map(|text| Self { source, text }))
            })
            .filter(|configuration| configuration.text.contains("\nCONFIG_"))
    }

    /// The configuration in a file, packed with gzip or not.
    ///
    /// # Errors
    /// When it cannot be read, or is no configuration.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        let text = if bytes.starts_with(&GZIP) {
            unpack(bytes.as_slice())?
        } else {
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if !text.contains("\nCONFIG_") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a kernel configuration"));
        }
        Ok(Self { source: path.to_string_lossy().into_owned(), text })
    }

    /// Whether an option (without `CONFIG_`) is built in or a module.
    pub fn is_set(&self, option: &str) -> bool {
        matches!(self.value(option), Some("y" | "m"))
    }

    /// The value of an option (without `CONFIG_`); `None` when it is not set.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            line.strip_prefix("CONFIG_")?.strip_prefix(option)?.strip_prefix('=').map(str::trim)
        })
    }
}

fn packed(system: &SystemFiles) -> Option<String> {
    unpack(File::open(system.path("/proc/config.gz")).ok()?).ok()
}

fn unpack(packed: impl Read) -> io::Result<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    /// A configuration in memory.
    pub(crate) fn configuration(text: &str) -> Configuration {
        Configuration { source: "test".to_owned(), text: format!("#\n{text}\n") }
    }

    #[test]
    fn options_are_matched_whole() {
        let text = "CONFIG_PTE_MARKER_UFFD_WP=y\n# CONFIG_DEVICE_PRIVATE is not set\nCONFIG_X=m\nCONFIG_N=48";
        let configuration = configuration(text);
        assert!(configuration.is_set("PTE_MARKER_UFFD_WP") && configuration.is_set("X"));
        assert!(!configuration.is_set("PTE_MARKER") && !configuration.is_set("DEVICE_PRIVATE"));
        assert_eq!(configuration.value("N"), Some("48"));
    }

    #[test]
    fn the_kernels_own_copy_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["proc/sys/kernel", "boot"];
        folders.iter().for_each(|folder| std::fs::create_dir_all(root.path().join(folder)).unwrap());
        let system = SystemFiles::below(root.path());
        assert!(Configuration::find(&system).is_none());
        std::fs::write(root.path().join("proc/sys/kernel/osrelease"), "6.1.0\n").unwrap();
        std::fs::write(root.path().join("boot/config-6.1.0"), "#\nCONFIG_A=y\n").unwrap();
        let found = Configuration::find(&system).unwrap();
        assert_eq!((found.source.as_str(), found.is_set("A")), ("/boot/config-6.1.0", true));
        let file = std::fs::File::create(root.path().join("proc/config.gz")).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(b"#\nCONFIG_B=y\n").unwrap();
        packer.finish().unwrap();
        let found = Configuration::find(&system).unwrap();
        assert_eq!((found.source.as_str(), found.is_set("B")), ("/proc/config.gz", true));
        for (name, option) in [("proc/config.gz", "B"), ("boot/config-6.1.0", "A")] {
            assert!(Configuration::load(&root.path().join(name)).unwrap().is_set(option));
        }
        let error = Configuration::load(&root.path().join("proc/sys/kernel/osrelease")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        std::fs::write(root.path().join("proc/config.gz"), "no gzip").unwrap();
        assert_eq!(Configuration::find(&system).unwrap().source, "/boot/config-6.1.0");
    }
}
