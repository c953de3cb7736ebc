//! An initramfs: files packed in the form `newc` of cpio (6.12 Documentation/driver-api/early-userspace/buffer-format.rst).

/// A root file system being packed.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

/// Bits of a mode (`stat.h`).
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const CONSOLE: u32 = 0o020_600;

impl Archive {
    /// Adds a folder.
    pub fn folder(&mut self, path: &str) {
        self.add(path, FOLDER, (0, 0), &[]);
    }

    /// Adds a file that can be run.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.add(path, PROGRAM, (0, 0), content);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, LINK, (0, 0), target.as_bytes());
    }

    /// Adds the device that the first process has as its standard input and outputs.
    pub fn console(&mut self, path: &str) {
        self.add(path, CONSOLE, (5, 1), &[]);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn add(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        let (size, name) = (content.len(), path.len() + 1);
        let number = self.entries;
        // Magic, inode, mode, owner, group, links, time, size, device, device of the node, length of the name, checksum.
        self.bytes.extend_from_slice(
            format!(
                "070701{number:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}{major:08x}{minor:08x}\
                 {name:08x}{0:08x}{path}\0",
                0, 1
            )
            .as_bytes(),
        );
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn cpio_lists_what_was_packed() {
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.program("bin/program", b"#!/bin/sh\n");
        archive.link("init", "bin/program");
        let bytes = archive.finish();
        let Ok(mut cpio) =
            Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            return;
        };
        cpio.stdin.take().expect("a pipe").write_all(&bytes).expect("taken");
        let output = cpio.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "bin\nbin/program\ninit\n");
    }
}
