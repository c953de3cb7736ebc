//! When things begin and end to live, according to the stream: the same answer for rules, reports, timelines and the
//! history of a page.

pub mod bounces;
pub mod exclusive;
#[cfg(test)]
mod histories;
pub mod migrations;
pub mod spaces;
pub mod stacks;
