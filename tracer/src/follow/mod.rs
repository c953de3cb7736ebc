//! From when to when things live, told by the stream: the one answer for rules, reports, timelines and the history of
//! a page.

pub mod bounces;
pub mod exclusive;
#[cfg(test)]
mod histories;
pub mod migrations;
pub mod spaces;
