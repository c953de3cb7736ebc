//! What a number can be in truth, when a part of what it is made of is missing.

use super::Relation;
use crate::compare::estimate::Estimate;

/// Least and most that a number can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Least.
    pub low: f64,
    /// Most.
    pub high: f64,
}

impl Bounds {
    /// A number of which nothing is missing.
    pub const fn exact(number: f64) -> Self {
        Self { low: number, high: number }
    }

    /// A number that what is missing can only add to.
    pub const fn at_least(number: f64) -> Self {
        Self { low: number, high: f64::INFINITY }
    }

    /// A number that nothing is known of.
    pub const UNKNOWN: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// The mean of a side, moved as far as the events that are missing from its runs can.
    pub fn of_side(number: f64, side: &[Estimate]) -> Self {
        let (up, down) = moves(side);
        Self { low: number * (-down).exp(), high: number * up.exp() }
    }

    /// A change from one side to the other: what is missing of the first makes it smaller, of the second larger.
    pub fn of_change(change: f64, before: &[Estimate], after: &[Estimate]) -> Self {
        let ((up_before, down_before), (up_after, down_after)) = (moves(before), moves(after));
        let moved = |logarithm: f64| (1.0 + change).mul_add(logarithm.exp(), -1.0);
        if up_before + down_before + up_after + down_after == 0.0 {
            return Self::exact(change);
        }
        Self { low: moved(-up_before - down_after), high: moved(up_after + down_before) }
    }

    /// Whether the relation holds whatever the number is in truth.
    pub fn always(self, relation: Relation, limit: f64) -> bool {
        relation.holds(self.low, limit) && relation.holds(self.high, limit)
    }

    /// Whether the relation can hold.
    pub fn ever(self, relation: Relation, limit: f64) -> bool {
        match relation {
            Relation::Less | Relation::AtMost => relation.holds(self.low, limit),
            Relation::More | Relation::AtLeast => relation.holds(self.high, limit),
            Relation::Equal => {
                self.low <= limit && limit <= self.high
                    || relation.holds(self.low, limit)
                    || relation.holds(self.high, limit)
            }
        }
    }
}

/// How far a side's mean of logarithms can be moved up and down.
fn moves(side: &[Estimate]) -> (f64, f64) {
    let mean = |each: fn(&Estimate) -> f64| side.iter().map(each).sum::<f64>() / side.len().max(1) as f64;
    (mean(|estimate| estimate.up), mean(|estimate| estimate.down))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_holds_always_never_or_perhaps() {
        let bounds = Bounds { low: 90.0, high: 140.0 };
        for (relation, limit, always, ever) in [
            (Relation::Less, 100.0, false, true),
            (Relation::Less, 141.0, true, true),
            (Relation::AtMost, 89.0, false, false),
            (Relation::More, 100.0, false, true),
            (Relation::AtLeast, 90.0, true, true),
            (Relation::AtLeast, 141.0, false, false),
            (Relation::Equal, 100.0, false, true),
            (Relation::Equal, 80.0, false, false),
        ] {
            assert_eq!(bounds.always(relation, limit), always, "{relation:?} {limit}");
            assert_eq!(bounds.ever(relation, limit), ever, "{relation:?} {limit}");
        }
        assert!(Bounds::exact(0.1).always(Relation::Equal, 0.1));
        assert!(!Bounds::UNKNOWN.always(Relation::Less, 1e300) && Bounds::UNKNOWN.ever(Relation::Equal, 0.0));
    }
}
