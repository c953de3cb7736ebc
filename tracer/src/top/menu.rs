//! A list to choose the next view from.

use super::view::View;
use crate::event::Kind;
use crate::stat::{By, Of, Question};

/// A list, and the one that is pointed at.
#[derive(Clone, Debug)]
pub struct Menu {
    /// What is chosen.
    pub title: String,
    /// Names, and the view that each stands for.
    pub choices: Vec<(&'static str, View)>,
    /// The one that is pointed at.
    pub at: usize,
}

impl Menu {
    /// Other groupings of a view.
    pub fn groupings(title: &str, view: &View, kinds: &[Kind]) -> Self {
        let choice = |by| (By::name(by), View { question: Question { by, ..view.question }, ..view.clone() });
        let choices = View::groupings(kinds).into_iter().map(choice).collect();
        Self::new(title, choices, view)
    }

    /// Other values to sum up.
    pub fn values(view: &View, kinds: &[Kind]) -> Self {
        let choice = |of: Option<Of>| {
            let name = of.map_or("none", Of::name);
            (name, View { question: Question { of, ..view.question }, ..view.clone() })
        };
        let choices = View::values(kinds).into_iter().map(choice).collect();
        Self::new("sum up", choices, view)
    }

    fn new(title: &str, choices: Vec<(&'static str, View)>, view: &View) -> Self {
        let at = choices.iter().position(|(_, other)| other.question == view.question).unwrap_or(0);
        Self { title: title.to_owned(), choices, at }
    }

    /// Points at another one, so far away.
    pub fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.choices.len().saturating_sub(1));
    }

    /// Points at the next one whose name begins with that letter.
    pub fn seek(&mut self, letter: char) {
        let begins = |at: &usize| self.choices[*at].0.starts_with(letter);
        let next = (self.at + 1..self.choices.len()).chain(0..self.choices.len()).find(begins);
        self.at = next.unwrap_or(self.at);
    }
}
