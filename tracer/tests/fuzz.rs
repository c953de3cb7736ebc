//! The parsers of `fuzz`, driven by mutations of recorded inputs: with a fixed seed, so that what one run finds the next
//! one finds too; each for a second, or for as many as `RMAPSCOPE_FUZZ_SECONDS` says.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "shown when a test fails, and on request")]

#[path = "../../fuzz/src/lib.rs"]
mod targets;
mod trace_file_common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rmapscope::event::Kind;
use targets::{TARGETS, Target};
use trace_file_common::{Noise, event, file, header, record, small_file};

/// Numbers at which lengths and counts go wrong.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Most changes to one input.
const MOST_CHANGES: u64 = 6;

/// The inputs of a folder, in the order of their names.
fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder of inputs").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn mutate(seeds: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let pick = |noise: &mut Noise, length: usize| noise.next() as usize % length.max(1);
    let mut input = seeds[pick(noise, seeds.len())].clone();
    for _ in 0..=noise.next() % MOST_CHANGES {
        let at = pick(noise, input.len());
        let length = pick(noise, input.len() - at).min(pick(noise, 64) + 1);
        let end = at + length;
        match noise.next() % 8 {
            0 => input[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << (noise.next() % 8)),
            1 => input[at..end].iter_mut().for_each(|byte| *byte = noise.next() as u8),
            2 | 3 => {
                let edge = EDGES[pick(noise, EDGES.len())].to_le_bytes();
                let width = length.min(1 << (noise.next() % 4));
                input[at..at + width].copy_from_slice(&edge[..width]);
            }
            4 => drop(input.drain(at..end)),
            5 => another_number(&mut input[at..], noise),
            6 => drop(input.splice(at..at, input[at..end].to_vec())),
            _ => {
                let other = &seeds[pick(noise, seeds.len())];
                let from = pick(noise, other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input
}

/// Another number instead of the next one that is written in digits, as long as that, so that lengths still fit.
fn another_number(input: &mut [u8], noise: &mut Noise) {
    let digits =
        input.iter_mut().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
    digits.for_each(|digit| *digit = b'0' + (noise.next() % 10) as u8);
}

fn drive((name, run, folder): Target, more: Vec<Vec<u8>>) {
    let seconds =
        std::env::var("RMAPSCOPE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut seeds = inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
    seeds.extend(more);
    seeds.iter().for_each(|seed| run(seed));
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let (started, mut count) = (Instant::now(), 0_u64);
    while started.elapsed() < Duration::from_secs(seconds) {
        let input = mutate(&seeds, &mut noise);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&input))) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            std::fs::write(&path, input).expect("room for the input");
            eprintln!("{name}: input {count}, kept as {}", path.display());
            resume_unwind(panic);
        }
        count += 1;
    }
    println!("{name}: {count} inputs in {seconds} s");
}

#[test]
fn btf() {
    drive(TARGETS[0], Vec::new());
}

#[test]
fn fdinfo() {
    drive(TARGETS[1], Vec::new());
}

#[test]
fn pagemap() {
    drive(TARGETS[2], Vec::new());
}

/// A file of today's writer with as little as possible beside what it says of its records: recorded fixtures list no
/// members, and in a long header a change hardly ever meets them.
fn described_file() -> Vec<u8> {
    let mut header = header();
    header.command_line.clear();
    header.kinds.retain(|kind| kind.number == Kind::MlockFolio as u16);
    header.kinds.iter_mut().for_each(|kind| kind.fields.clear());
    let mut noise = Noise(11);
    let events: Vec<_> = (1..4).map(|time| event(&record(Kind::MlockFolio, time, &mut noise))).collect();
    file(&header, &events)
}

#[test]
fn trace_file() {
    drive(TARGETS[3], vec![small_file().0, described_file()]);
}
