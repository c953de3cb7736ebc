//! A field of an event: one row in the family's file says what it is to the programs, to a reader of bytes, to a person,
//! and to what works on events of any kind.

macro_rules! types {
    ($($(#[$doc:meta])* $ty:ident = $name:literal,)*) => {
        /// How the bytes of a field are to be understood.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Type { $($(#[$doc])* $ty,)* }

        impl Type {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$ty),*];

            /// The name in the header of a trace file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$ty => $name),* }
            }
        }
    };
}

types! {
    /// A process or thread id.
    Id = "id",
    /// A plain number of things.
    Count = "count",
    /// The same where it was not always counted.
    OptionalCount = "optional_count",
    /// A number of bytes.
    Bytes = "bytes",
    /// Time in nanoseconds; 0 when it was not measured.
    Duration = "duration",
    /// The name of a thread, NUL-terminated.
    Comm = "comm",
    /// The name of a device, NUL-terminated.
    DeviceName = "device_name",
    /// Address of a `struct device`, shown by its name.
    Device = "device",
    /// Address of a kernel object that is always there: 0 means that it could not be read.
    Object = "object",
    /// Any other number that is written in hexadecimal.
    Hex = "hex",
    /// A bus or physical address, all ones where a mapping failed.
    Mapping = "mapping",
    /// The original address in a slot, all ones in a free slot.
    SlotOriginal = "slot_original",
    /// Address of a `struct page`, shown as its pfn.
    Page = "page",
    /// The same where 0 means that there is none.
    OptionalPage = "optional_page",
    /// Raw page flags.
    PageFlags = "page_flags",
    /// VM_* bits.
    VmFlags = "vm_flags",
    /// TTU_* bits.
    TtuFlags = "ttu_flags",
    /// FAULT_FLAG_* bits.
    FaultFlags = "fault_flags",
    /// VM_FAULT_* bits.
    FaultResult = "fault_result",
    /// DMA_ATTR_* bits.
    DmaAttributes = "dma_attributes",
    /// Properties of a bounce-buffer pool.
    PoolFlags = "pool_flags",
    /// `enum dma_data_direction`.
    Direction = "direction",
    /// `enum migrate_mode`.
    MigrateMode = "migrate_mode",
    /// `enum migrate_reason`.
    MigrateReason = "migrate_reason",
    /// `enum migrate_vma_direction` bits.
    MigrateSource = "migrate_source",
    /// A [`RefusalStep`](super::RefusalStep).
    RefusalStep = "refusal_step",
    /// A [`RefusalReason`](super::RefusalReason).
    RefusalReason = "refusal_reason",
    /// HMM_PFN_REQ_* bits.
    FaultRequest = "fault_request",
    /// A signed count of mappings or references.
    References = "references",
    /// 0 or more, or -errno.
    Result = "result",
    /// Whether a walk goes on.
    WalkResult = "walk_result",
    /// The low bits of `page->mapping`.
    MappingBits = "mapping_bits",
    /// 0 or 1.
    Truth = "truth",
    /// A raw page-table entry.
    Entry = "entry",
    /// log2 of a number of pages.
    Order = "order",
    /// The status in `task_struct.exit_code`.
    ExitStatus = "exit_status",
    /// The signal in `task_struct.exit_code`.
    ExitSignal = "exit_signal",
}

impl Type {
    /// Characters that a column of this type needs in text for its usual values.
    pub const fn width(self) -> usize {
        match self {
            Self::Truth | Self::Order => 5,
            Self::Id
            | Self::Count
            | Self::OptionalCount
            | Self::References
            | Self::Result
            | Self::WalkResult => 8,
            Self::ExitStatus | Self::ExitSignal | Self::MappingBits | Self::Bytes | Self::Duration => 8,
            Self::RefusalStep => 8,
            Self::Page | Self::OptionalPage => 10,
            Self::RefusalReason => 14,
            Self::Comm => 15,
            Self::Device | Self::DeviceName | Self::MigrateMode | Self::MigrateReason => 18,
            Self::MigrateSource | Self::FaultRequest => 18,
            Self::Object | Self::Hex | Self::Mapping | Self::SlotOriginal | Self::Direction => 18,
            Self::PageFlags | Self::TtuFlags | Self::FaultResult | Self::DmaAttributes | Self::PoolFlags => {
                32
            }
            Self::VmFlags | Self::FaultFlags | Self::Entry => 40,
        }
    }

    /// Whether the number is signed.
    const fn is_signed(self) -> bool {
        matches!(self, Self::References | Self::Result)
    }
}

/// What a field is to those who work on events of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The page, or the first page of the folio, that the event is about.
    Page,
    /// The same where the event is a part of another that is about it.
    VisitedPage,
    /// A page-table entry that holds the page's pfn.
    HeldPage,
    /// The page that takes the place of [`Page`](Self::Page).
    NewPage,
    /// The `mm_struct` that it is about.
    Mm,
    /// The user address of the page in it.
    Address,
    /// First user address of a range.
    Start,
    /// User address after the range.
    End,
    /// Bytes of the range.
    Length,
    /// Pages that the event is about; of several such fields the sum.
    Pages,
    /// log2 of these.
    Order,
    /// Bytes that the event is about.
    Bytes,
    /// Page flags of [`Page`](Self::Page) or [`VisitedPage`](Self::VisitedPage).
    Flags,
    /// Those of [`NewPage`](Self::NewPage).
    NewFlags,
    /// How often the page is mapped, signed.
    Mapcount,
    /// Its references, signed.
    Refcount,
    /// The page-table entry at [`Address`](Self::Address) after the event.
    EntryAfter,
    /// Physical address of the memory that a device is to reach.
    Original,
    /// Physical address in a bounce buffer.
    Bounce,
}

impl Role {
    /// Number of roles.
    pub const COUNT: usize = Self::Bounce as usize + 1;
}

/// One field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in every output.
    pub name: &'static str,
    /// How it is to be understood.
    pub ty: Type,
    /// Name of the undecoded number, where [`name`](Self::name) shows something made of it.
    pub raw: Option<&'static str>,
    /// What it is to those who work on events of any kind.
    pub role: Option<Role>,
    /// The member of the body that it is made of.
    pub member: Member,
    /// Lines of Markdown, up to an empty one: what it means.
    pub(super) meaning: &'static [&'static str],
}

/// A member of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Bytes before it in the body.
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
}

impl Field {
    /// The bytes of the field in the bytes of its event's body; empty when `body` is of another event.
    pub fn bytes<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.member.offset..self.member.offset + self.member.size).unwrap_or_default()
    }

    /// The field as a number, sign-extended where its type is signed; 0 for a name.
    #[inline]
    pub fn number(&self, body: &[u8]) -> u64 {
        let bytes = body.get(self.member.offset..).unwrap_or_default();
        if self.member.size == 8 {
            return bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        }
        let Some(bytes) = bytes.first_chunk().filter(|_| self.member.size == 4) else { return 0 };
        let number = u32::from_le_bytes(*bytes);
        if self.ty.is_signed() { i64::from(number.cast_signed()).cast_unsigned() } else { u64::from(number) }
    }

    /// Bytes of the number.
    pub const fn size(&self) -> usize {
        self.member.size
    }

    /// What it means, in Markdown, line by line.
    pub fn meaning(&self) -> impl Iterator<Item = &'static str> {
        self.meaning.iter().map(|line| line.trim()).take_while(|line| !line.is_empty())
    }
}

/// The bodies of a family's events. A row is `member: type`, and for each field that is shown of it
/// `as name (name of the undecoded number): Type is Role`, or `as Type` where it has the member's name. Members lie in
/// the order of the rows, and fields are shown in that order where none is given.
macro_rules! bodies {
    ($($(#[doc = $doc:literal])* $body:ident $(in the order [$($shown:ident),*])? {
        $($(#[doc = $meaning:literal])* $member:ident: $type:ty
            $(as $view:ident $(($raw:ident))? $(: $ty:ident)? $(is $role:ident)? $($own:literal)?)*,)*
    })*) => {
        $($(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $body { $($(#[doc = $meaning])* pub $member: $type,)* }

        impl super::Plain for $body {}

        impl $body {
            pub(super) const MEMBERS: &'static [super::Member] = &[$(super::Member {
                name: stringify!($member),
                offset: core::mem::offset_of!($body, $member),
                size: size_of::<$type>(),
            }),*];

            pub(super) const FIELDS: &'static [super::Field] = {
                const OF_MEMBERS: &[&[super::Field]] = &[$(super::field::bodies!(
                    @member $body $member: $type, [$($meaning),*]
                    $([$view ($($raw)?) [$($ty)?] [$($role)?] [$($own)?]])*
                )),*];
                const COUNT: usize = super::field::count(OF_MEMBERS);
                &super::field::in_order::<COUNT>(OF_MEMBERS, &[$($(stringify!($shown)),*)?])
            };
        })*
    };
    (@member $body:ident $member:ident: $type:ty, $meaning:tt $([$($view:tt)*])*) => {
        &[$(super::field::bodies!(@field $body $member: $type, $meaning, $($view)*)),*]
    };
    (@field $body:ident $member:ident: $type:ty, $meaning:tt, $ty:ident () [] $role:tt $own:tt) => {
        super::field::bodies!(@field $body $member: $type, $meaning, $member () [$ty] $role $own)
    };
    (@field $body:ident $member:ident: $type:ty, [$($meaning:literal),*], $view:ident ($($raw:ident)?) [$ty:ident] [$($role:ident)?] [$($own:literal)?]) => {
        super::Field {
            name: stringify!($view),
            ty: super::Type::$ty,
            raw: super::field::bodies!(@option $(stringify!($raw))?),
            role: super::field::bodies!(@option $(super::Role::$role)?),
            member: super::Member {
                name: stringify!($member),
                offset: core::mem::offset_of!($body, $member),
                size: size_of::<$type>(),
            },
            meaning: super::field::bodies!(@meaning [$($own)?] $($meaning),*),
        }
    };
    (@meaning [] $($meaning:literal),*) => { &[$($meaning),*] };
    (@meaning [$own:literal] $($meaning:literal),*) => { &[$own] };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };
}

pub(super) use bodies;

/// How many fields there are.
pub(super) const fn count(of_members: &[&[Field]]) -> usize {
    let (mut count, mut member) = (0, 0);
    while member < of_members.len() {
        count += of_members[member].len();
        member += 1;
    }
    count
}

/// The fields of all members in the order of their names; as they lie where no name is given.
pub(super) const fn in_order<const N: usize>(of_members: &[&[Field]], names: &[&str]) -> [Field; N] {
    assert!(names.is_empty() || names.len() == N, "an order names every field");
    let mut fields = [of_members[0][0]; N];
    let (mut place, mut member) = (0, 0);
    while member < of_members.len() {
        let mut index = 0;
        while index < of_members[member].len() {
            let field = of_members[member][index];
            fields[if names.is_empty() { place } else { position(names, field.name) }] = field;
            place += 1;
            index += 1;
        }
        member += 1;
    }
    fields
}

/// Fields without those of these names.
pub(super) const fn without<const N: usize>(fields: &[Field], names: &[&str]) -> [Field; N] {
    let mut kept = [fields[0]; N];
    let (mut place, mut from) = (0, 0);
    while from < fields.len() {
        if position(names, fields[from].name) == names.len() {
            kept[place] = fields[from];
            place += 1;
        }
        from += 1;
    }
    assert!(place == N, "a name is no field's");
    kept
}

/// Where a name is among others; how many they are when it is not.
const fn position(names: &[&str], name: &str) -> usize {
    let mut place = 0;
    while place < names.len() && !is_same(names[place], name) {
        place += 1;
    }
    place
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}
