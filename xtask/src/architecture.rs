//! What differs between the architectures that guests and programs are of.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// An architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Architecture {
    /// x86-64
    #[default]
    Amd64,
    /// 64-bit Arm
    Arm64,
}

/// Where and what the magic number of an arm64 image is (6.12 Documentation/arch/arm64/booting.rst).
const ARM64_MAGIC: (usize, &[u8]) = (56, b"ARM\x64");

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one that a name of Debian's ends with, and what is before it.
    pub fn at_end(name: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|one| Some((one, name.strip_suffix(one.debian())?.strip_suffix('-')?)))
    }

    /// The one that a kernel's name means: `6.12-arm64` ends with it.
    pub fn of_kernel(name: &str) -> Self {
        if name.ends_with("-arm64") { Self::Arm64 } else { Self::of_image(Path::new(name)) }
    }

    /// The one that a kernel's image is for.
    pub fn of_image(image: &Path) -> Self {
        let mut header = [0; 64];
        let read = File::open(image).and_then(|mut file| file.read_exact(&mut header));
        let (at, magic) = ARM64_MAGIC;
        if read.is_ok() && header[at..].starts_with(magic) { Self::Arm64 } else { Self::Amd64 }
    }

    /// Its name in Debian.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name in that of a machine (`uname -m`).
    pub const fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// What Rust calls programs for it.
    pub fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.machine())
    }

    /// This machine's.
    pub const fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// The dynamic loader's name.
    pub const fn loader(self) -> &'static str {
        match self {
            Self::Amd64 => "ld-linux-x86-64.so.2",
            Self::Arm64 => "ld-linux-aarch64.so.1",
        }
    }

    /// Its name in the kernel's source.
    pub const fn linux(self) -> &'static str {
        match self {
            Self::Amd64 => "x86",
            Self::Arm64 => "arm64",
        }
    }

    /// The QEMU that emulates it.
    pub const fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// What the names of compilers for it begin with on another machine.
    pub const fn cross_prefix(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu-",
            Self::Arm64 => "aarch64-linux-gnu-",
        }
    }

    /// The compiler that builds for it on this machine.
    pub fn compiler(self) -> String {
        format!("{}gcc", if self.is_native() { "" } else { self.cross_prefix() })
    }

    /// Whether it is this machine's.
    pub fn is_native(self) -> bool {
        self == Self::native()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_an_architecture() {
        assert_eq!(Architecture::of_kernel("6.12-arm64"), Architecture::Arm64);
        assert_eq!(Architecture::of_kernel("6.12-hmm"), Architecture::Amd64);
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let mut image = vec![0; 100];
        std::fs::write(file.path(), &image).expect("written");
        assert_eq!(Architecture::of_image(file.path()), Architecture::Amd64);
        image[56..60].copy_from_slice(b"ARM\x64");
        std::fs::write(file.path(), &image).expect("written");
        assert_eq!(Architecture::of_image(file.path()), Architecture::Arm64);
    }
}
