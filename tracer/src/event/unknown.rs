//! Events that are in a file and that this version cannot read: of kinds that are newer, or without what they need.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::{Family, Loss};

/// How many there are of each kind, by its name in the file's header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownKinds {
    /// Number of the family, and of events.
    kinds: BTreeMap<Arc<str>, (Option<Family>, u64)>,
}

impl UnknownKinds {
    /// Takes a loss into account, if it is of such events.
    pub fn add(&mut self, loss: &Loss) {
        if let Some(kind) = &loss.kind {
            let (_, count) = self.kinds.entry(kind.clone()).or_insert((loss.family(), 0));
            *count = count.saturating_add(loss.count);
        }
    }

    /// How many, by name.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        self.kinds.iter().map(|(name, (_, count))| (name.to_string(), *count)).collect()
    }

    /// How many are of a family; `None` for those that this version does not know.
    pub fn of_family(&self, family: Option<Family>) -> u64 {
        let of_family = self.kinds.values().filter(|(of, _)| *of == family);
        of_family.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What is to be said of those of these families (bits by number), with the remedy; names are raw. `recorder` is
    /// the version that recorded the file.
    pub fn sentence(&self, families: u32, recorder: &str) -> Option<String> {
        let bit = |family: &Option<Family>| family.map_or(0, |family| 1 << family as u32);
        let related: BTreeMap<_, _> = self
            .kinds
            .iter()
            .filter(|(_, (family, _))| families == u32::MAX || bit(family) & families != 0)
            .map(|(name, (_, count))| (name.to_string(), *count))
            .collect();
        (!related.is_empty()).then(|| unknown_kinds(&related, recorder))
    }
}

/// Says how many events of which kinds this version cannot read, and what can; names are raw.
pub fn unknown_kinds(counts: &BTreeMap<String, u64>, recorder: &str) -> String {
    let sum = counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let mut text = format!("{sum} event{} of kinds", if sum == 1 { "" } else { "s" });
    text += " that this version does not know (";
    for (index, (name, count)) in counts.iter().enumerate() {
        let _ = write!(text, "{}{name} {count}", if index > 0 { ", " } else { "" });
    }
    text + &format!("): read the file with rmapscope {recorder}, which recorded it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LossCause;

    fn loss(kind: Option<&str>, family: u8, count: u64) -> Loss {
        let cause = LossCause::Dropped;
        Loss { cause, family: Some(family), count, after: 1, before: 2, kind: kind.map(Into::into) }
    }

    #[test]
    fn each_kind_is_counted_and_named() {
        let mut unknown = UnknownKinds::default();
        unknown.add(&loss(None, 1, 7));
        assert_eq!(unknown.sentence(u32::MAX, "9.1"), None);
        unknown.add(&loss(Some("exclusive_swap"), 1, 2));
        unknown.add(&loss(Some("ksm_merge"), 9, 1));
        unknown.add(&loss(Some("exclusive_swap"), 1, 1));
        assert_eq!(
            unknown.sentence(u32::MAX, "9.1").unwrap(),
            "4 events of kinds that this version does not know (exclusive_swap 3, ksm_merge 1): read the file with \
             rmapscope 9.1, which recorded it"
        );
        assert_eq!((unknown.of_family(Some(Family::Exclusive)), unknown.of_family(None)), (3, 1));
    }

    #[test]
    fn what_concerns_a_family_is_told_by_the_kinds_number() {
        let mut unknown = UnknownKinds::default();
        unknown.add(&loss(Some("exclusive_swap"), 1, 1));
        unknown.add(&loss(Some("ksm_merge"), 9, 1));
        let exclusive = unknown.sentence(1 << Family::Exclusive as u32, "9.1").unwrap();
        assert!(exclusive.starts_with("1 event of kinds") && !exclusive.contains("ksm"), "{exclusive}");
        assert_eq!(unknown.sentence(1 << Family::Fork as u32, "9.1"), None);
    }
}
