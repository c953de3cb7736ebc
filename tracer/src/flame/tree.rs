//! Frames as they lie upon each other, for one or two profiles.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::profile::Profile;
use crate::event::Weight;

/// One side of a frame: all that lies above it, and itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// Sum of the weight, nothing twice.
    pub value: f64,
    /// Sum of the squares of each event's weight.
    pub squares: f64,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name; empty for the one below all.
    pub name: Arc<str>,
    /// Frames below it.
    pub depth: usize,
    /// Whether its path ends in it: it is what a probe tells of.
    pub is_leaf: bool,
    /// Its place from the left.
    pub start: u64,
    /// How wide it is: what it has for itself and what lies above it.
    pub width: u64,
    /// Of that, for itself.
    pub own_width: u64,
    /// Before and after; of one profile both are the same.
    pub sides: [Cell; 2],
}

/// The frames, each before those above it, from left to right.
#[derive(Debug)]
pub struct Tree {
    /// The first one is below all others.
    pub nodes: Vec<Node>,
    places: HashMap<(usize, u64), usize>,
}

impl Tree {
    /// Of two profiles; a path is as wide as `width` says of what it has for itself on both sides.
    pub fn new(profiles: [&Profile; 2], weight: Weight, width: impl Fn([f64; 2]) -> u64) -> Self {
        let mut paths: BTreeMap<&[Arc<str>], [Cell; 2]> = BTreeMap::new();
        for (side, profile) in profiles.into_iter().enumerate() {
            for (path, own) in profile.own(weight) {
                paths.entry(path).or_default()[side].value = own as f64;
            }
            for (path, sum) in profile.paths().filter(|(_, sum)| sum.weights.get(weight) > 0) {
                paths.entry(path).or_default()[side].squares = sum.squares(weight);
            }
        }
        let root = Node {
            name: "".into(),
            depth: 0,
            is_leaf: false,
            start: 0,
            width: 0,
            own_width: 0,
            sides: [Cell::default(); 2],
        };
        let mut nodes = vec![root.clone()];
        let mut callers = vec![0_usize];
        let mut callees: Vec<[f64; 2]> = vec![[0.0; 2]];
        let mut right = 0;
        let mut last: &[Arc<str>] = &[];
        for (path, own) in paths {
            let shared = path.iter().zip(last).take_while(|(one, other)| one == other).count();
            close(&mut nodes, &mut callees, &mut callers, shared + 1, right, weight);
            for (depth, name) in path.iter().enumerate().skip(shared) {
                callers.push(nodes.len());
                callees.push([0.0; 2]);
                let start = right;
                nodes.push(Node { name: Arc::clone(name), depth: depth + 1, start, ..root.clone() });
            }
            // What is beyond the largest number has no width.
            let own_width = width([own[0].value, own[1].value]).min(u64::MAX - right);
            let index = callers.last().copied().unwrap_or_default();
            let node = &mut nodes[index];
            (node.sides, node.own_width, node.is_leaf) = (own, own_width, true);
            right += own_width;
            last = path;
        }
        close(&mut nodes, &mut callees, &mut callers, 0, right, weight);
        let wide = nodes.iter().enumerate().filter(|(_, node)| node.width > 0);
        let places = wide.map(|(index, node)| ((node.depth, node.start), index)).collect();
        Self { nodes, places }
    }

    /// The frame at that place.
    pub fn at(&self, depth: usize, start: u64) -> Option<&Node> {
        self.places.get(&(depth, start)).map(|index| &self.nodes[*index])
    }

    /// The whole width.
    pub fn width(&self) -> u64 {
        self.nodes[0].width
    }

    /// Lines of folded stacks, from left to right.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut path: Vec<&str> = Vec::new();
        for node in self.nodes.iter().skip(1) {
            path.truncate(node.depth - 1);
            path.push(&node.name);
            if node.own_width > 0 {
                lines.push(format!("{} {}", path.join(";"), node.own_width));
            }
        }
        lines
    }
}

/// Ends the frames above the first `keep`: nothing more comes upon them.
fn close(
    nodes: &mut [Node],
    callees: &mut [[f64; 2]],
    callers: &mut Vec<usize>,
    keep: usize,
    right: u64,
    weight: Weight,
) {
    while callers.len() > keep
        && let Some(index) = callers.pop()
    {
        let node = &mut nodes[index];
        node.width = right - node.start;
        for (cell, above) in node.sides.iter_mut().zip(callees[index]) {
            // The time of a call has that of the calls within: its own square has theirs.
            if weight != Weight::Time || cell.squares == 0.0 {
                cell.squares += above;
            }
        }
        let sides = node.sides;
        if let Some(caller) = callers.last().copied() {
            for (side, cell) in sides.into_iter().enumerate() {
                nodes[caller].sides[side].value += cell.value;
                callees[caller][side] += cell.squares;
            }
        }
    }
}
