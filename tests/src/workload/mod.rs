//! Workloads whose number of kernel operations is known beforehand.
//!
//! Each workload does its work in a process of its own and writes [`Fact`]s: how many events of which kind
//! the kernel must have produced for which process. The guest tests and the demonstration compare them
//! with what was recorded.

mod attach_target;
mod block_io;
mod children;
mod contiguous;
mod cost;
mod demo;
mod device_memory;
mod device_refused;
mod exclusive;
mod exclusive_obstacle;
mod exclusive_shared;
mod fact;
mod fork;
mod gpu_clients;
mod huge;
mod kept_child;
mod locked_fork;
mod marked;
mod memory;
mod mirror;
mod mlock;
mod move_pages;
mod numa;
mod open_files;
mod pagemap;
mod pageout;
mod passed_file;
mod reclaim;
mod ring;
mod shared_lock;
mod stress;
mod swap;
mod system;
mod tasks;
mod userfault;
mod wide_mapping;

pub use attach_target::AttachTarget;
pub use block_io::BlockIo;
pub use children::Children;
pub use cost::{Cost, Measured};
pub use demo::Demo;
pub use device_memory::DeviceMemory;
pub use device_refused::DeviceRefused;
pub use exclusive::Exclusive;
pub use exclusive_obstacle::ExclusiveObstacle;
pub use exclusive_shared::ExclusiveShared;
pub use fact::{Clients, Count, Fact, Facts, HeldBy, Io, Page, Pages, Skipped};
pub use fork::Fork;
pub use gpu_clients::GpuClients;
pub use huge::Huge;
pub use locked_fork::LockedFork;
pub use marked::Marked;
pub use mlock::Mlock;
pub use move_pages::MovePages;
pub use open_files::OpenFiles;
pub use pageout::Pageout;
pub use ring::Ring;
pub use shared_lock::SharedLock;
pub use stress::Stress;
pub use system::pin_to_current_cpu;
pub use tasks::Tasks;
pub use wide_mapping::WideMapping;
