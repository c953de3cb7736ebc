use std::collections::HashSet;

use tracer_common::globals::Layout;

use super::*;

#[test]
fn every_point_has_one_entry_in_order() {
    let points: Vec<Point> = entries().map(|entry| entry.point).collect();
    assert_eq!(points, Point::ALL);
}

#[test]
fn every_event_is_made_by_some_point_of_its_family() {
    for kind in Kind::ALL {
        let makers: Vec<&Entry> =
            entries().filter(|entry| entry.all_kinds().any(|made| made == *kind)).collect();
        assert!(!makers.is_empty(), "{}", kind.name());
        // The first of the family `hmm` for which another family's function has to be followed.
        let is_excepted = |point| *kind == Kind::MigrateVmaRefused && point == Point::MigrateVmaSetup;
        assert!(
            makers.iter().all(|entry| entry.point.family() == kind.family() || is_excepted(entry.point)),
            "{}",
            kind.name()
        );
    }
    assert!(entries().all(|entry| entry.all_kinds().next().is_some()));
}

#[test]
fn entries_are_complete() {
    let mut names = HashSet::new();
    for entry in entries() {
        let name = entry.name();
        assert!(names.insert(name), "{name} names two points");
        let wanted: Vec<_> = entry.arguments.iter().map(|wanted| wanted.argument).collect();
        assert_eq!(wanted, entry.point.arguments(), "{name}");
        assert!(!entry.absence.reason.is_empty(), "{name}");
        for candidate in entry.candidates {
            assert!(
                !candidate.signatures.is_empty() && !candidate.versions.is_empty(),
                "{}",
                candidate.symbol
            );
            assert_eq!(
                candidate.tracepoint().is_some(),
                entry.candidates[0].tracepoint().is_some(),
                "{name}"
            );
        }
        for field in entry.fields {
            assert!(Layout::PATHS.iter().any(|(known, _)| known == field), "{name} needs {field}");
        }
    }
}

#[test]
fn companions_complete_each_others_records_only() {
    for entry in entries() {
        for companion in entry.companions {
            assert_ne!(*companion, entry.point);
            assert_ne!(super::entry(*companion).scope, Scope::PerVma);
        }
    }
}

/// The catalogue for people must not fall behind.
#[test]
fn documentation_names_every_point_candidate_and_event() {
    const DOCUMENTATION: &str = include_str!("../../../../docs/probes.md");
    for entry in entries() {
        for candidate in entry.candidates {
            assert!(DOCUMENTATION.contains(&format!("`{}`", candidate.symbol)), "{}", candidate.symbol);
        }
        for kind in entry.all_kinds() {
            assert!(DOCUMENTATION.contains(&format!("`{}`", kind.name())), "{}", kind.name());
        }
    }
}
