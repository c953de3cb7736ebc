//! Workloads and guest tests.
