//! Where a point's arguments are in the running kernel's function.

use tracer_common::globals::Globals;
use tracer_common::point::{ARGUMENT_ABSENT, BEHIND, MAX_ARGUMENTS, Point};

use super::AttachMethod;
use super::catalogue::{Entry, Holds, Place, Wanted};
use crate::kernel::{FunctionSignature, Parameter};

/// Arguments that a kprobe sees: those in registers for integers and pointers.
const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 6 };

/// Words that trampoline and tracepoint programs can read: the arguments and the result.
const CONTEXT_WORDS: usize = 9;

/// Positions of a point's arguments for one way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    arguments: [u8; MAX_ARGUMENTS],
    arity: u8,
}

impl Positions {
    /// Hands them to the programs.
    pub fn write(&self, point: Point, globals: &mut Globals) {
        globals.arguments[point as usize] = self.arguments;
        globals.arity[point as usize] = self.arity;
    }

    /// Position of the argument that the point calls number `index`, or of the pointer that it is behind; `None`
    /// where it cannot be had.
    pub fn get(&self, index: usize) -> Option<usize> {
        let position = self.arguments.get(index).filter(|position| **position != ARGUMENT_ABSENT)?;
        Some(usize::from(*position & !BEHIND))
    }

    /// Whether that argument is behind a pointer.
    pub fn is_behind(&self, index: usize) -> bool {
        self.get(index).is_some() && self.arguments[index] & BEHIND != 0
    }

    /// Number of the function's arguments.
    pub fn arity(&self) -> usize {
        usize::from(self.arity)
    }
}

/// A signature that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Where the arguments are.
    pub positions: Positions,
    /// Arguments that the function has, but that this way to attach does not reach.
    pub unreached: Vec<&'static str>,
    /// Fields by which arguments are found behind pointers.
    pub fields: Vec<&'static str>,
}

/// Finds the entry's arguments in a signature.
///
/// # Errors
/// The names of needed arguments that are missing, of another type than expected, or out of reach.
pub fn resolve(
    entry: &Entry,
    signature: &FunctionSignature,
    method: AttachMethod,
) -> Result<Resolved, Vec<String>> {
    let mut positions = Positions { arguments: [ARGUMENT_ABSENT; MAX_ARGUMENTS], arity: 0 };
    let (mut missing, mut unreached, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    let parameters = &signature.parameters;
    let reach = if method == AttachMethod::Kprobe { REGISTERS } else { CONTEXT_WORDS };
    // The result comes after the last argument.
    if method == AttachMethod::Fentry && parameters.len() >= CONTEXT_WORDS {
        missing.push(format!("the result after {} arguments", parameters.len()));
    }
    positions.arity = u8::try_from(parameters.len()).unwrap_or(u8::MAX);
    for (wanted, slot) in entry.arguments.iter().zip(&mut positions.arguments) {
        let name = wanted.argument.name();
        match find(wanted, parameters) {
            Found::At(position) if position < reach => *slot = position as u8,
            Found::Behind(position, field) if position < reach => {
                *slot = position as u8 | BEHIND;
                fields.extend(field);
            }
            Found::At(_) | Found::Behind(..) if wanted.needed => {
                missing.push(format!("argument {name} (beyond the registers)"))
            }
            Found::At(_) | Found::Behind(..) => unreached.push(name),
            Found::OfType(actual) if wanted.needed => {
                missing.push(format!("argument {name} (it is `{actual}` in this kernel)"));
            }
            Found::Nowhere if wanted.needed => missing.push(format!("argument {name}")),
            Found::OfType(_) | Found::Nowhere => {}
        }
    }
    if missing.is_empty() { Ok(Resolved { positions, unreached, fields }) } else { Err(missing) }
}

enum Found<'a> {
    At(usize),
    /// Behind the pointer there, at that field.
    Behind(usize, Option<&'static str>),
    OfType(&'a str),
    Nowhere,
}

/// The first of these names that a parameter has.
fn named(names: &[&str], parameters: &[Parameter]) -> Option<usize> {
    names.iter().find_map(|name| parameters.iter().position(|parameter| parameter.name == *name))
}

fn find<'a>(wanted: &Wanted, parameters: &'a [Parameter]) -> Found<'a> {
    if let Some(behind) = wanted.behind
        && let Some(position) = named(behind.names, parameters)
        && fits(Holds::Pointer(behind.types), &parameters[position].type_name)
    {
        return Found::Behind(position, behind.field);
    }
    let position = match wanted.place {
        Place::Named(names) => named(names, parameters),
        Place::FromStart(before) => (before < parameters.len()).then_some(before),
        Place::FromEnd(after) => parameters.len().checked_sub(after + 1),
    };
    match position.and_then(|position| Some((position, parameters.get(position)?))) {
        Some((position, parameter)) if fits(wanted.holds, &parameter.type_name) => Found::At(position),
        Some((_, parameter)) => Found::OfType(&parameter.type_name),
        None => Found::Nowhere,
    }
}

/// Whether a type, as C writes it, is what is expected.
fn fits(holds: Holds, type_name: &str) -> bool {
    let (base, is_pointer) = match type_name.split_once('*') {
        Some((base, _)) => (base, true),
        None => (type_name, false),
    };
    match holds {
        Holds::Value => !is_pointer,
        Holds::Pointer([]) => is_pointer,
        // What is left after the qualifiers and `struct` is the type's own name.
        Holds::Pointer(types) => is_pointer && types.contains(&base.split_whitespace().last().unwrap_or("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::catalogue;
    use crate::probe::testing::signature;
    use proptest::prelude::*;

    fn positions(
        point: Point,
        parameters: &str,
        method: AttachMethod,
    ) -> Result<Vec<Option<usize>>, Vec<String>> {
        let entry = catalogue::entry(point);
        let resolved = resolve(entry, &signature(parameters), method)?;
        Ok((0..entry.arguments.len()).map(|index| resolved.positions.get(index)).collect())
    }

    #[test]
    fn restore_exclusive_pte_before_and_since_6_15() {
        let old = "struct vm_area_struct *vma, struct page *page, unsigned long address, pte_t *ptep";
        let new = "struct vm_area_struct *vma, struct folio *folio, struct page *page, unsigned long address, \
                   pte_t *ptep, pte_t orig_pte";
        let at = |parameters| positions(Point::RestoreExclusivePte, parameters, AttachMethod::Kprobe);
        assert_eq!(at(old), Ok(vec![Some(0), Some(1), Some(2), Some(3), None, None]));
        assert_eq!(at(new), Ok(vec![Some(0), Some(2), Some(3), Some(4), Some(5), Some(1)]));
    }

    #[test]
    fn seventh_argument_is_out_of_a_kprobes_reach() {
        let entry = catalogue::entry(Point::SwiotlbTblMapSingle);
        let seven = signature(entry.candidates[0].signatures[0]);
        let kprobe = resolve(entry, &seven, AttachMethod::Kprobe).unwrap();
        assert_eq!(kprobe.unreached, ["attrs"]);
        assert_eq!((kprobe.positions.get(4), kprobe.positions.get(5)), (Some(5), None));
        let fentry = resolve(entry, &seven, AttachMethod::Fentry).unwrap();
        assert_eq!((fentry.positions.get(5), fentry.positions.arity()), (Some(6), 7));
        let six = signature(entry.candidates[0].signatures[1]);
        let fentry = resolve(entry, &six, AttachMethod::Fentry).unwrap();
        assert_eq!((fentry.positions.get(3), fentry.positions.get(5)), (None, Some(5)));
    }

    #[test]
    fn arguments_move_behind_pointers() {
        let resolved = |point, parameters| {
            let found =
                resolve(catalogue::entry(point), &signature(parameters), AttachMethod::Fentry).unwrap();
            let places = (0..point.arguments().len())
                .map(|index| (found.positions.get(index).unwrap(), found.positions.is_behind(index)));
            (places.collect::<Vec<_>>(), found.fields)
        };
        let move_control = "struct pagetable_move_control *pmc";
        let fields = vec!["move_vma", "move_old_address", "move_new_address"];
        assert_eq!(resolved(Point::MovePageTables, move_control), (vec![(0, true); 3], fields));
        let fixup = "struct vma_iterator *vmi, struct vm_area_struct *vma, struct vm_area_struct **prev, \
                     unsigned long start, unsigned long end, ";
        let places = |is_behind| vec![(1, false), (3, false), (4, false), (5, is_behind)];
        let old = format!("{fixup}vm_flags_t newflags");
        assert_eq!(resolved(Point::MlockFixup, &old), (places(false), vec![]));
        let new = format!("{fixup}vma_flags_t *new_vma_flags");
        assert_eq!(resolved(Point::MlockFixup, &new), (places(true), vec![]));
        let map = "struct device *dev, phys_addr_t orig_addr, size_t mapping_size, unsigned int alloc_align_mask, \
                   enum dma_data_direction dir, unsigned long *attrs";
        let entry = catalogue::entry(Point::SwiotlbTblMapSingle);
        let found = resolve(entry, &signature(map), AttachMethod::Fentry).unwrap();
        assert_eq!((found.positions.get(5), found.positions.is_behind(5)), (Some(5), true));
    }

    #[test]
    fn mode_and_reason_stay_last() {
        let entry = catalogue::entry(Point::MigratePages);
        let [old, new] = entry.candidates[0].signatures else { panic!("two signatures") };
        for (parameters, mode) in [(old, 5), (new, 6)] {
            let found = positions(Point::MigratePages, parameters, AttachMethod::Tracepoint);
            assert_eq!(found, Ok(vec![Some(0), Some(1), Some(mode), Some(mode + 1)]));
        }
    }

    #[test]
    fn missing_and_changed_arguments_are_named() {
        let nameless = positions(Point::TryToUnmap, "struct folio *victim", AttachMethod::Fentry);
        assert_eq!(nameless, Err(vec!["argument folio".to_owned(), "argument flags".to_owned()]));
        let other =
            positions(Point::TryToUnmap, "struct zone *folio, enum ttu_flags flags", AttachMethod::Fentry);
        assert_eq!(other, Err(vec!["argument folio (it is `struct zone *` in this kernel)".to_owned()]));
    }

    #[test]
    fn every_signature_of_the_catalogue_resolves() {
        for entry in catalogue::entries() {
            for candidate in entry.candidates {
                for parameters in candidate.signatures {
                    let method = match candidate.tracepoint() {
                        Some(_) => AttachMethod::Tracepoint,
                        None => AttachMethod::Kprobe,
                    };
                    let found = resolve(entry, &signature(parameters), method);
                    assert!(found.is_ok(), "{}({parameters}): {found:?}", candidate.symbol);
                }
            }
        }
    }

    proptest! {
        /// Whatever the signature, a position handed to the programs is one that exists and that they read.
        #[test]
        fn positions_stay_inside(
            names in proptest::collection::vec("(vma|page|folio|address|ptep|dev|dir|size|flags|x)", 0..14),
            types in proptest::collection::vec("(struct page \\*|struct vm_area_struct \\*|int|pte_t \\*|void \\*)", 14),
        ) {
            let parameters: Vec<Parameter> = names.iter().zip(&types).map(|(name, type_name)| {
                Parameter { name: name.clone(), type_name: type_name.clone(), size: 8 }
            }).collect();
            let signature = FunctionSignature { parameters, result: "void".to_owned() };
            for entry in catalogue::entries() {
                for method in [AttachMethod::Fentry, AttachMethod::Kprobe, AttachMethod::RawTracepoint] {
                    if let Ok(found) = resolve(entry, &signature, method) {
                        for index in 0..entry.arguments.len() {
                            let reach = if method == AttachMethod::Kprobe { REGISTERS } else { CONTEXT_WORDS };
                            let limit = reach.min(names.len());
                            prop_assert!(found.positions.get(index).is_none_or(|position| position < limit));
                        }
                    }
                }
            }
        }
    }
}
