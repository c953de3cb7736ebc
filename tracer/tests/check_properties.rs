//! Random histories of a kernel that keeps its rules never violate one; one illegal step in such a history is
//! found by its rule and by no other.

mod attached_common;
mod check_world;

use check_world::{History, Step, World};
use proptest::prelude::*;
use rmapscope::check::Outcome;

/// Steps of a legal history; each picks what it does from what lives then.
fn history(most: usize) -> impl Strategy<Value = Vec<(Step, u64)>> {
    let step = prop_oneof![
        4 => Just(Step::Make),
        3 => Just(Step::Restore),
        1 => Just(Step::Fork),
        1 => Just(Step::FailedFork),
        2 => Just(Step::Zap),
        1 => Just(Step::Move),
        1 => Just(Step::Exit),
        1 => Just(Step::Migrate),
        2 => Just(Step::Reclaim),
        2 => Just(Step::ReclaimLocked),
        1 => Just(Step::Munlock),
        6 => Just(Step::Map),
        5 => Just(Step::Unmap),
        1 => Just(Step::FailedMap),
        1 => Just(Step::UnmapOlder),
        1 => Just(Step::KeptAndTaken),
        1 => Just(Step::RestoreOlder),
    ];
    prop::collection::vec((step, any::<u64>()), 0..most)
}

fn violated(history: &History) -> Vec<(&'static str, String)> {
    let verdict = history.verdict();
    let violated = verdict.rules.into_iter().filter(|rule| rule.outcome == Outcome::Violated);
    violated.map(|rule| (rule.name, format!("{:?}", rule.evidence))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn legal_histories_never_violate(steps in history(200), cut in any::<prop::sample::Index>()) {
        let mut world = World::default();
        for (step, random) in steps {
            world.legal(step, random);
        }
        let history = world.history();
        prop_assert_eq!(violated(&history), vec![]);
        // A session that begins in the middle.
        let late = history.from(cut.index(history.len() + 1));
        prop_assert_eq!(violated(&late), vec![]);
    }

    #[test]
    fn losses_never_violate(steps in history(120), lost in prop::collection::vec(any::<prop::sample::Index>(), 1..8)) {
        let mut world = World::default();
        for (step, random) in steps {
            world.legal(step, random);
        }
        let mut history = world.history();
        for index in lost {
            history.lose(index.index(history.len() + 1));
        }
        prop_assert_eq!(violated(&history), vec![]);
    }

    #[test]
    fn each_illegal_step_is_found_by_its_rule(
        before in history(60),
        after in history(60),
        random in any::<u64>(),
    ) {
        for fault in check_world::FAULTS {
            let mut world = World::default();
            for &(step, random) in &before {
                world.legal(step, random);
            }
            world.illegal(fault.step, random);
            for &(step, random) in &after {
                world.legal(step, random);
            }
            let found = violated(&world.history());
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names, vec![fault.rule], "{:?}: {:?}", fault.step, found);
        }
    }
}
