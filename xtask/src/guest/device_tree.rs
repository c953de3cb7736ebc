//! The device tree of a guest whose disk has a restricted pool.

use std::path::Path;
use std::process::{Command, Stdio};

use super::GuestError;
use super::arguments::megabytes;

/// Where memory begins on QEMU's machine `virt`.
const MEMORY: u64 = 0x4000_0000;
/// How far below the end of memory the pool begins: what QEMU loads lies at the beginning.
const FROM_END: u64 = 128 << 20;
/// The PCI host bridge, whose devices take its pool.
const BRIDGE: &str = "/pcie@10000000";
/// A number that no other node has.
const HANDLE: u32 = 0x9999;

/// Lets QEMU write the tree of this machine, and gives the devices on PCI a restricted pool of that size
/// (Documentation/devicetree/bindings/reserved-memory/shared-dma-pool.yaml).
pub fn write(
    emulator: &Path,
    machine: &[String],
    pool: &str,
    memory: &str,
    place: &Path,
) -> Result<(), GuestError> {
    let size = bytes(pool)
        .filter(|size| *size > 0 && *size <= FROM_END)
        .ok_or_else(|| GuestError::Option(format!("pool {pool:?}: a number and K, M or G, at most 128M")))?;
    let memory = megabytes(memory).map(|megabytes| megabytes << 20).filter(|memory| *memory >= 4 * FROM_END);
    let memory =
        memory.ok_or_else(|| GuestError::Option("a guest with a pool needs 512M of memory".into()))?;
    let start = MEMORY + memory - FROM_END;

    let mut dump = Command::new(emulator);
    dump.args(machine).args(["-nodefaults", "-display", "none"]);
    dump.arg("-M").arg(format!("dumpdtb={}", place.display()));
    run(&mut dump)?;
    let node = format!("/reserved-memory/restricted@{start:x}");
    let put = |node: &str, property: &str, kind: &[&str], values: &[String]| {
        let mut command = Command::new("fdtput");
        run(command.arg("-p").args(kind).arg(place).args([node, property]).args(values))
    };
    let hex = |value: u64| format!("{value:x}");
    let address = |value: u64| [hex(value >> 32), hex(value & 0xffff_ffff)];
    const NUMBERS: &[&str] = &["-t", "x"];
    for property in ["#address-cells", "#size-cells"] {
        put("/reserved-memory", property, NUMBERS, &[hex(2)])?;
    }
    put("/reserved-memory", "ranges", &[], &[])?;
    put(&node, "compatible", &["-t", "s"], &["restricted-dma-pool".into()])?;
    put(&node, "reg", NUMBERS, &[address(start), address(size)].concat())?;
    put(&node, "phandle", NUMBERS, &[hex(HANDLE.into())])?;
    put(BRIDGE, "memory-region", NUMBERS, &[hex(HANDLE.into())])
}

fn run(command: &mut Command) -> Result<(), GuestError> {
    let name = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().map_err(GuestError::io(name.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GuestError::Option(format!("the device tree cannot be made: {name}: {said}")))
}

/// Bytes of a size with a unit.
fn bytes(size: &str) -> Option<u64> {
    match size.strip_suffix(['K', 'k']) {
        Some(number) => number.parse::<u64>().ok()?.checked_mul(1 << 10),
        None => megabytes(size)?.checked_mul(1 << 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            [bytes("256K"), bytes("4M"), bytes("1G")],
            [Some(256 << 10), Some(4 << 20), Some(1 << 30)]
        );
        assert_eq!(bytes("much"), None);
    }
}
