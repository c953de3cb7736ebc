//! Which differences are more than chance.

use super::tree::Cell;

/// When a difference counts as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviations that it has to be away from none. Events come in bursts (a page is mapped, bounced and
    /// unmapped), which scatter more than independent ones: therefore more than the usual 3.
    pub deviations: f64,
    /// Part of the larger side that it has to be.
    pub least_change: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { deviations: 4.0, least_change: 0.1 }
    }
}

impl Noise {
    /// Whether the two sides, each related to its exposure, differ by more than noise.
    pub fn is_beyond(&self, sides: [Cell; 2], exposures: [f64; 2]) -> bool {
        let rates = rates(sides, exposures);
        let larger = rates[0].max(rates[1]);
        deviations(sides, exposures).abs() >= self.deviations
            && (rates[1] - rates[0]).abs() >= self.least_change * larger
    }
}

/// Sums by their exposures.
pub fn rates(sides: [Cell; 2], exposures: [f64; 2]) -> [f64; 2] {
    [sides[0].value / exposures[0], sides[1].value / exposures[1]]
}

/// How many standard deviations the second side is above the first one. Events are taken for independent (a compound
/// Poisson process: the variance of a sum is the sum of the squares); of the deviation under the hypothesis of no
/// difference and the one that was observed the larger counts, which is careful where one side has few events.
pub fn deviations(sides: [Cell; 2], exposures: [f64; 2]) -> f64 {
    let [before, after] = rates(sides, exposures);
    let observed = sides[0].squares / exposures[0].powi(2) + sides[1].squares / exposures[1].powi(2);
    let pooled = (sides[0].squares + sides[1].squares) / (exposures[0] + exposures[1])
        * (exposures[0].recip() + exposures[1].recip());
    let variance = observed.max(pooled);
    if variance > 0.0 { (after - before) / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(count: f64) -> Cell {
        Cell { value: count, squares: count }
    }

    #[test]
    fn counts_are_compared_as_poisson_processes() {
        let same = |a: f64, b: f64| deviations([count(a), count(b)], [1.0, 1.0]);
        assert!((same(50.0, 50.0)).abs() < 1e-9);
        assert!((same(0.0, 9.0) - 3.0).abs() < 1e-9);
        assert!((same(100.0, 150.0) - 50.0 / 250_f64.sqrt()).abs() < 1e-9);
        assert!(same(9.0, 0.0) < 0.0);
    }

    #[test]
    fn one_event_against_a_long_run_is_noise() {
        assert!(deviations([count(0.0), count(1.0)], [100.0, 1.0]).abs() < 1.1);
        assert!(deviations([count(10.0), count(0.0)], [1.0, 0.01]).abs() < 1.0);
        assert!(deviations([Cell::default(); 2], [1.0, 1.0]) == 0.0);
    }

    #[test]
    fn small_changes_are_noise_however_certain() {
        let noise = Noise::default();
        assert!(!noise.is_beyond([count(1e9), count(1.05e9)], [1.0, 1.0]));
        assert!(noise.is_beyond([count(1e4), count(2e4)], [1.0, 1.0]));
        assert!(!noise.is_beyond([count(1e4), count(2e4)], [1.0, 2.0]));
    }
}
