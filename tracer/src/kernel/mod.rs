//! Facts of a kernel: its types, symbols, flags and swap entries.

mod btf;
mod checkup;
mod configuration;
mod describe;
mod description;
mod entry;
mod facts;
mod layout;
mod name_index;
mod preemption;
mod privilege;
mod swap_types;
mod switch;
mod symbols;
mod system;

pub use btf::{Btf, BtfError, FunctionSignature, Member, Parameter, RUNNING_KERNEL_BTF};
pub use checkup::{Check, CheckState, Checkup};
pub use configuration::Configuration;
pub use description::{Description, EntryFormatRecord, NamedValue, PresentEntryFormat, SwapKind, SwapType};
pub(crate) use entry::version;
pub use entry::{ArmLayout, Paging};
pub(crate) use facts::page_size;
pub use facts::{Facts, FactsOptions};
pub use layout::{MissingField, resolve_layout};
pub use name_index::NameSet;
pub use privilege::{Capability, Lockdown, Privileges};
pub use swap_types::{DeviceExclusive, KernelEvidence, SwapFeatures, SwapTypes};
pub use switch::{Switch, SwitchState};
pub use symbols::{RUNNING_KERNEL_SYMBOLS, Symbol, Symbols, SymbolsError};
pub use system::SystemFiles;
