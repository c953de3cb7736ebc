//! The shell script that the guest runs: it prepares, runs the command and hands its status over.

use std::fmt::Write;
use std::path::Path;

use super::{Disk, Guest};

/// Virtio-serial port that carries the command's standard error.
pub const STDERR_PORT: &str = "rmapscope.stderr";
/// Virtio-serial port behind `/dev/stderr`: a port can be opened only once at a time.
pub const DEV_STDERR_PORT: &str = "rmapscope.dev_stderr";
/// Virtio-serial port that carries a line when the guest has booted, and the command's status as a decimal number.
pub const STATUS_PORT: &str = "rmapscope.status";

/// Quotes a word for the shell.
pub fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The script for bash. `folder` is where the command starts.
pub fn script(guest: &Guest, command: &str, folder: &Path) -> String {
    let mut text = format!(
        "ports=/dev/virtio-ports\n\
         for _ in $(seq 200); do [ -e $ports/{STATUS_PORT} ] && break; sleep 0.05; done\n\
         echo booted >$ports/{STATUS_PORT}\n\
         exec 2>$ports/{STDERR_PORT}\n\
         ln -sfn $ports/{DEV_STDERR_PORT} /dev/stderr\n\
         finish() {{ echo \"$1\" >$ports/{STATUS_PORT}; exit \"$1\"; }}\n\
         cannot() {{ echo \"guest: $1\" >&2; finish 125; }}\n"
    );
    let path: String =
        guest.path.iter().map(|folder| format!("{}:", quote(&folder.to_string_lossy()))).collect();
    let _ = writeln!(text, "export PATH={path}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    text.push_str("export HOME=/root LC_ALL=C.UTF-8\n");
    for (name, value) in &guest.environment {
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    // Programs look for tracefs and securityfs in their usual places; virtme-ng does not mount all of them.
    text.push_str(
        "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null\n\
         mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null\n\
         mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security 2>/dev/null\n",
    );
    // xtask::kernel puts it among the modules of kernels that can have it; others have none, or have it built in.
    text.push_str(
        "if modprobe -q -n test_hmm 2>/dev/null; then modprobe test_hmm || cannot 'test_hmm cannot be loaded'; fi\n",
    );
    if let Some(disk) = guest.disk {
        let (module, device) = match disk {
            Disk::Nvme => ("nvme", "/dev/nvme0n1"),
            Disk::Virtio => ("virtio_blk", "/dev/vda"),
        };
        let _ = write!(
            text,
            "[ -b {device} ] || modprobe {module} 2>/dev/null\n\
             for _ in $(seq 200); do [ -b {device} ] && break; sleep 0.05; done\n\
             [ -b {device} ] || cannot 'this kernel does not see the disk {device}'\n"
        );
    }
    if let Some(size) = &guest.swap {
        let _ = write!(
            text,
            "[ -d /sys/block/zram0 ] || modprobe zram num_devices=1 2>/dev/null\n\
             echo {size} >/sys/block/zram0/disksize || cannot 'this kernel has no zram'\n\
             mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 || cannot 'swap cannot be switched on'\n",
            size = quote(size)
        );
    }
    let _ = write!(
        text,
        "cd {folder} 2>/dev/null || cd /\n\
         bash -c {command} </dev/null\n\
         finish $?\n",
        folder = quote(&folder.to_string_lossy()),
        command = quote(command)
    );
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn quoted_words_survive_the_shell() {
        for word in ["plain", "", "two words", "it's", "$HOME `id` \"x\" \\ *", "a\nb"] {
            let output = Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(word))).output();
            assert_eq!(output.expect("sh runs").stdout, word.as_bytes());
        }
    }

    #[test]
    fn the_script_is_valid_shell() {
        let guest = Guest::new("k").disk(Disk::Nvme).swap("64M").path("/a b").env("NAME", "it's");
        let text = script(&guest, "echo 'x y'; exit 3", Path::new("/some where"));
        let check = Command::new("bash").args(["-n", "-c", &text]).output().expect("bash runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        assert!(text.contains("cd '/some where'"));
        assert!(text.contains("PATH='/a b':/usr/local/sbin"));
    }
}
