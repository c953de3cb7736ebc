//! Where the fields that the programs read are in this kernel's types.

use tracer_common::globals::{Layout, OFFSET_ABSENT};

use super::Btf;

/// A field that this kernel does not have. That is normal: fields come and go with versions and
/// configuration, and what needs a missing one is switched off by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingField {
    /// The name in [`Layout`].
    pub name: &'static str,
    /// Where it was looked for: `type.member.member`, alternatives separated by `|`.
    pub path: &'static str,
}

/// Finds every field of [`Layout::PATHS`], and says which ones this kernel lacks.
pub fn resolve_layout(btf: &Btf) -> (Layout, Vec<MissingField>) {
    let mut layout = Layout::ABSENT;
    let mut missing = Vec::new();
    for &(name, path) in Layout::PATHS {
        match path.split('|').find_map(|alternative| resolve(btf, alternative)) {
            Some(offset) => {
                layout.set(name, offset);
            }
            None => missing.push(MissingField { name, path }),
        }
    }
    (layout, missing)
}

/// Takes the fields of these names out of the layout; other names are of something else.
pub(super) fn hide(layout: &mut Layout, names: &[String]) -> Vec<MissingField> {
    let hidden = |name: &&str| names.iter().any(|hidden| hidden == name);
    let fields = Layout::PATHS.iter().filter(|(name, _)| hidden(name));
    fields
        .map(|&(name, path)| {
            layout.set(name, OFFSET_ABSENT);
            MissingField { name, path }
        })
        .collect()
}

/// One path: the offset of a member, or `sizeof(type)`.
fn resolve(btf: &Btf, path: &str) -> Option<u32> {
    if let Some(name) = path.strip_prefix("sizeof(").and_then(|rest| rest.strip_suffix(')')) {
        return btf.size_of(name).and_then(|size| u32::try_from(size).ok());
    }
    let (name, members) = path.split_once('.')?;
    btf.offset_of(name, members).map(|member| member.offset)
}
