//! The function that an event tells of: the leaf of its stack.

use std::sync::Arc;

use crate::event::{Kind, place};
use crate::probe::{AttachMethod, Outcome, PointReport};

/// The probed functions and tracepoints by the events that they make.
#[derive(Debug)]
pub struct Leaves {
    functions: Vec<Vec<Arc<str>>>,
    /// What stands for the kind where no frame of its stack does.
    names: Vec<Arc<str>>,
}

impl Leaves {
    /// Those of a session with these probes.
    pub fn new(probes: &[PointReport]) -> Self {
        let mut functions = vec![Vec::new(); Kind::ALL.len()];
        let mut symbols: Vec<Vec<Arc<str>>> = vec![Vec::new(); Kind::ALL.len()];
        for report in probes {
            let (Outcome::Attached { symbol, method } | Outcome::Fallback { symbol, method, .. }) =
                &report.outcome
            else {
                continue;
            };
            for kind in report.kinds() {
                let symbol: Arc<str> = symbol.as_str().into();
                if matches!(method, AttachMethod::Fentry | AttachMethod::Kprobe) {
                    functions[place(kind)].push(Arc::clone(&symbol));
                }
                symbols[place(kind)].push(symbol);
            }
        }
        let name = |kind: &Kind| match &symbols[place(*kind)][..] {
            [symbol] => Arc::clone(symbol),
            // Which of several it was can only be seen in a stack.
            _ => kind.name().into(),
        };
        Self { names: Kind::ALL.iter().map(name).collect(), functions }
    }

    /// What to put below a stack with that innermost function; `None` when that is the probed one.
    pub fn below(&self, kind: Kind, innermost: Option<&str>) -> Option<&Arc<str>> {
        let is_innermost = |function: &Arc<str>| innermost == Some(&**function);
        (!self.functions[place(kind)].iter().any(is_innermost)).then(|| &self.names[place(kind)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(symbol: &str, method: AttachMethod, event: &str) -> PointReport {
        PointReport {
            point: symbol.to_owned(),
            family: "rmap".to_owned(),
            events: vec![event.to_owned()],
            outcome: Outcome::Attached { symbol: symbol.to_owned(), method },
            attempts: Vec::new(),
        }
    }

    #[test]
    fn the_probed_function_is_the_leaf_and_only_once() {
        let leaves = Leaves::new(&[
            report("try_to_unmap", AttachMethod::Fentry, "try_to_unmap"),
            report("migrate:set_migration_pte", AttachMethod::Tracepoint, "migration_entry_set"),
            report("dma_map_page_attrs", AttachMethod::Kprobe, "dma_map_direct"),
            report("dma_direct_map_sg", AttachMethod::Kprobe, "dma_map_direct"),
        ]);
        let below = |kind, innermost| leaves.below(kind, innermost).map(|name| name.to_string());
        assert_eq!(below(Kind::TryToUnmap, Some("try_to_unmap")), None);
        assert_eq!(below(Kind::TryToUnmap, Some("shrink_folio_list")).as_deref(), Some("try_to_unmap"));
        let tracepoint = below(Kind::MigrationEntrySet, Some("try_to_migrate_one"));
        assert_eq!(tracepoint.as_deref(), Some("migrate:set_migration_pte"));
        assert_eq!(below(Kind::DmaMapDirect, Some("dma_direct_map_sg")), None);
        assert_eq!(below(Kind::DmaMapDirect, None).as_deref(), Some("dma_map_direct"));
        assert_eq!(below(Kind::PageMlock, None).as_deref(), Some("page_mlock"));
    }
}
