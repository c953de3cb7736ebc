//! `rmapscope`: watches who owns a page and why.
fn main() {}
