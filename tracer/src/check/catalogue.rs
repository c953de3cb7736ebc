//! The rules and diagnoses that there are.

use std::collections::BTreeSet;

use tracer_common::event::Kind;
use tracer_common::family::Family;

use super::diagnoses::{DIAGNOSES, Diagnose};
use super::info::{DiagnosisInfo, Need, RuleInfo};
use super::options::Selection;
use super::rules::INFOS;

/// Every rule, in the order of every output.
pub fn rules() -> &'static [RuleInfo] {
    &INFOS
}

/// Every diagnosis, in the order of every output.
pub fn diagnoses() -> &'static [DiagnosisInfo] {
    static INFOS: [DiagnosisInfo; DIAGNOSES] = super::diagnoses::INFOS;
    &INFOS
}

/// Every diagnosis, ready to work.
pub(super) fn make_diagnoses(limit: usize) -> [Box<dyn Diagnose>; DIAGNOSES] {
    super::diagnoses::make(limit)
}

/// The events that a live check of these rules must record: those of the rules, those of diagnoses where all rules are
/// judged, and the names of processes and devices. Who chooses rules pays for nothing else; diagnoses that make do with
/// the events of these still speak.
pub fn kinds_for(rules: &Selection) -> BTreeSet<Kind> {
    let kinds = |needs: &'static [Need]| needs.iter().map(|need| need.kind);
    let mut chosen: BTreeSet<Kind> = rules.places().flat_map(|place| kinds(INFOS[place].needs)).collect();
    let families: BTreeSet<Family> = chosen.iter().map(|kind| kind.family()).collect();
    if *rules == Selection::all() {
        let diagnosed = diagnoses().iter().flat_map(|diagnosis| diagnosis.needs);
        chosen.extend(diagnosed.filter(|need| need.is_required()).map(|need| need.kind));
    }
    chosen.extend(Kind::ALL.iter().filter(|kind| kind.family() == Family::Process));
    if families.contains(&Family::Swiotlb) {
        chosen.insert(Kind::DeviceName);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_texts_are_there() {
        let mut names = BTreeSet::new();
        for rule in rules() {
            assert!(names.insert(rule.name), "{}", rule.name);
            for text in [rule.title, rule.statement, rule.kernels, rule.example, rule.idle] {
                assert!(!text.trim().is_empty(), "{}", rule.name);
            }
            assert!(!rule.citations.is_empty() && !rule.needs.is_empty(), "{}", rule.name);
            assert!(rule.needs.iter().any(Need::is_required), "{}", rule.name);
        }
        for diagnosis in diagnoses() {
            assert!(names.insert(diagnosis.name), "{}", diagnosis.name);
            assert!(!diagnosis.needs.is_empty() && !diagnosis.citations.is_empty(), "{}", diagnosis.name);
        }
    }

    #[test]
    fn only_what_the_rules_need_is_recorded() {
        let kinds = kinds_for(&Selection::only(&["swiotlb-restricted-bounces"]).unwrap());
        assert!(kinds.contains(&Kind::DmaMapDirect) && kinds.contains(&Kind::DeviceName));
        assert!(kinds.contains(&Kind::ProcessExit) && !kinds.contains(&Kind::TryToUnmap));
        assert!(kinds_for(&Selection::all()).contains(&Kind::MigrateRefused));
        let kinds = kinds_for(&Selection::only(&["rmap-caller-locked"]).unwrap());
        assert!(!kinds.contains(&Kind::TryToUnmapOne), "a diagnosis alone would want it");
    }
}
