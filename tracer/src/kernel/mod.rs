//! Facts of a kernel: its types, symbols, flags and swap entries.

mod arch;
mod btf;
mod checkup;
mod configuration;
mod describe;
mod description;
mod facts;
mod folio_head;
mod layout;
mod memory_map;
mod name_index;
mod preemption;
mod privilege;
mod process_stat;
mod swap_types;
mod switch;
mod symbols;
mod system;

pub(crate) use arch::version;
pub use arch::{Arm64, ArmLayout, Paging, X86};
pub use btf::{Btf, BtfError, FunctionSignature, Member, Parameter, RUNNING_KERNEL_BTF};
pub use checkup::{Check, CheckState, Checkup};
pub use configuration::Configuration;
pub use description::{Description, EntryFormatRecord, NamedValue, PresentEntryFormat, SwapKind, SwapType};
pub(crate) use facts::page_size;
pub use facts::{Facts, FactsOptions};
pub(crate) use folio_head::FolioHead;
pub use layout::{MissingField, resolve_layout};
pub use name_index::NameSet;
pub use privilege::{Capability, Lockdown, Privileges};
pub use process_stat::ProcessStat;
pub use swap_types::{DeviceExclusive, KernelEvidence, SwapFeatures, SwapTypes};
pub use switch::{Switch, SwitchState};
pub use symbols::{RUNNING_KERNEL_SYMBOLS, Symbol, Symbols, SymbolsError};
pub use system::SystemFiles;
