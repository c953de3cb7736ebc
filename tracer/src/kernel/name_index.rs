//! An index of names for tables of some hundred thousand entries: 8 bytes an entry, built in one pass.
//!
//! It stores positions only; the names stay in the table that is indexed.

/// A chain's end.
const END: u32 = u32::MAX;

/// Finds table positions by name. Positions are given out in the order of [`NameIndex::push`].
#[derive(Clone, Debug)]
pub(crate) struct NameIndex {
    /// Position of the newest entry of each bucket.
    heads: Vec<u32>,
    /// For each position, the next older one in its bucket.
    next: Vec<u32>,
}

impl NameIndex {
    /// An empty index for about `expected` names.
    pub(crate) fn with_capacity(expected: usize) -> Self {
        let buckets = expected.clamp(16, 1 << 20).next_power_of_two();
        Self { heads: vec![END; buckets], next: Vec::with_capacity(expected.min(1 << 20)) }
    }

    /// Adds the name of the next position. At most `u32::MAX - 1` positions fit; the tables that use the
    /// index cannot grow that far (each of their entries takes more than one byte of a file below 4 GiB).
    pub(crate) fn push(&mut self, name: &[u8]) {
        let bucket = self.bucket(name);
        let position = self.next.len() as u32;
        self.next.push(self.heads[bucket]);
        self.heads[bucket] = position;
    }

    /// Positions whose name may be `name`, newest first: the caller compares the names.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = usize> + '_ {
        let mut position = self.heads[self.bucket(name)];
        std::iter::from_fn(move || {
            let found = position;
            (found != END).then(|| {
                position = self.next[found as usize];
                found as usize
            })
        })
    }

    fn bucket(&self, name: &[u8]) -> usize {
        // FNV-1a: names are short and the tables are no target of collision attacks worth the name.
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash ^ (hash >> 32)) as usize & (self.heads.len() - 1)
    }
}

/// A set of names, kept as one text.
#[derive(Clone, Debug)]
pub struct NameSet {
    text: String,
    /// Start and end of each name in `text`.
    spans: Vec<(u32, u32)>,
    index: NameIndex,
}

impl NameSet {
    /// The names in a text that has one at the beginning of each line, or wherever `pick` finds it in the
    /// line. Lines in which it finds none are left out. Text beyond 4 GiB is ignored.
    pub fn from_lines(text: String, pick: impl Fn(&str) -> Option<&str>) -> Self {
        let mut spans = Vec::new();
        let mut index = NameIndex::with_capacity(text.len() / 24);
        for line in text.lines() {
            let Some(name) = pick(line) else { continue };
            let start = name.as_ptr() as usize - text.as_ptr() as usize;
            let Ok(end) = u32::try_from(start + name.len()) else { break };
            spans.push((start as u32, end));
            index.push(name.as_bytes());
        }
        Self { text, spans, index }
    }

    /// Whether the name is in the set.
    pub fn contains(&self, name: &str) -> bool {
        self.index.candidates(name.as_bytes()).any(|position| {
            let (start, end) = self.spans[position];
            &self.text[start as usize..end as usize] == name
        })
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_knows_exactly_its_names() {
        let text = "try_to_unmap\ndo_swap_page [module]\n\n# none\ntry_to_unmap\n".to_owned();
        let set = NameSet::from_lines(text, |line| {
            line.split_whitespace().next().filter(|word| !word.starts_with('#'))
        });
        assert_eq!(set.len(), 3);
        assert!(set.contains("try_to_unmap") && set.contains("do_swap_page"));
        assert!(!set.contains("try_to_unma") && !set.contains("[module]") && !set.contains(""));
    }

    #[test]
    fn candidates_hold_every_position_of_a_name() {
        let names: Vec<String> = (0..1000).map(|number| format!("name{}", number % 700)).collect();
        let mut index = NameIndex::with_capacity(8);
        names.iter().for_each(|name| index.push(name.as_bytes()));
        let found: Vec<usize> =
            index.candidates(b"name42").filter(|position| names[*position] == "name42").collect();
        assert_eq!(found, [742, 42]);
    }
}
