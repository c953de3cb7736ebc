//! Workloads and guest tests.

pub mod workload;
