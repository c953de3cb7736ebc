//! How full each pool of bounce buffers was, by all devices together.

use rustc_hash::FxHashMap;

use super::levels::Levels;
use crate::report::model::{Bounce, Pool};

/// One pool.
#[derive(Debug, Default)]
struct Use {
    /// First address and bytes.
    bounds: Option<(u64, u64)>,
    counted: Option<u64>,
    levels: Levels,
}

/// Pools by `struct io_tlb_mem`; as many as pairs of device and pool are told apart.
#[derive(Debug, Default)]
pub struct Pools {
    pools: FxHashMap<u64, Use>,
}

impl Pools {
    /// What a mapping says of its pool: where it is, and after a failure how many slots were in use.
    pub fn seen(&mut self, pool: u64, bounds: Option<(u64, u64)>, counted: Option<u64>) {
        let pool = self.pools.entry(pool).or_default();
        pool.bounds = pool.bounds.or(bounds);
        pool.counted = pool.counted.max(counted);
    }

    /// Slots are taken.
    pub fn rise(&mut self, pool: u64, since_start: u64, bytes: u64, slots: u64) {
        self.pools.entry(pool).or_default().levels.rise(since_start, bytes, slots);
    }

    /// Slots are given back.
    pub fn fall(&mut self, pool: u64, since_start: u64, bytes: u64, slots: u64) {
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.levels.fall(since_start, bytes, slots);
        }
    }

    /// The report's part, in the order in which the devices' own part names them.
    pub fn finish(mut self, bounces: &[Bounce]) -> Vec<Pool> {
        let mut pools: Vec<Pool> = Vec::new();
        for bounce in bounces {
            if let Some(pool) = pools.iter_mut().find(|pool| pool.pool == bounce.pool) {
                pool.devices.push(bounce.device.clone());
                continue;
            }
            // Devices that are summed up as others have no pool of their own.
            let Some(found) = self.pools.remove(&bounce.pool) else { continue };
            if bounce.pool == 0 {
                continue;
            }
            pools.push(Pool {
                pool: bounce.pool,
                pool_start: found.bounds.map(|(start, _)| start),
                pool_size: found.bounds.map(|(_, size)| size),
                devices: vec![bounce.device.clone()],
                peak_bytes: found.levels.peak_bytes(),
                peak_slots: found.levels.peak_slots(),
                counted_slots: found.counted,
                levels: found.levels.finish(),
            });
        }
        pools
    }
}
