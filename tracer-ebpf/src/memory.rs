//! Two ways to read kernel memory.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_common::event::{BITS_UNKNOWN, UNKNOWN};
use tracer_common::globals::OFFSET_ABSENT;

use crate::globals::global;

/// A number that any bytes are a value of.
pub trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl<const WORDS: usize> Plain for [u64; WORDS] {}

/// A number that has a value for what could not be read.
pub trait Readable: Plain {
    /// That value.
    const UNREAD: Self;
}
impl Readable for u32 {
    const UNREAD: Self = BITS_UNKNOWN;
}
impl Readable for u64 {
    const UNREAD: Self = UNKNOWN;
}

/// A way to read a field of a kernel object.
pub trait Memory {
    /// Whether it follows typed pointers, as programs do that still see the arguments at a return.
    const IS_DIRECT: bool;

    /// The value at `base + offset`; `None` when the offset or the way is absent, or the read failed.
    fn load<T: Plain>(base: u64, offset: u32) -> Option<T>;

    /// The values at two offsets of an object of `size` bytes.
    #[inline(always)]
    fn load_two<A: Plain, B: Plain>(
        base: u64,
        _size: u32,
        first: u32,
        second: u32,
    ) -> (Option<A>, Option<B>) {
        (Self::load(base, first), Self::load(base, second))
    }
}

/// Bytes that one read of two values takes: those of the smallest `struct page` there is. A call of the helper costs much
/// more than the bytes.
const AT_ONCE: usize = 56;

/// Plain loads through pointers whose BTF type the verifier knows (fentry, fexit, BTF tracepoints). A bad
/// address reads as 0 (the JIT's exception table). Works under lockdown=confidentiality.
pub struct Direct;

/// `bpf_probe_read_kernel`, for addresses that are plain numbers to the verifier.
pub struct Probed;

impl Memory for Direct {
    const IS_DIRECT: bool = true;

    #[inline(always)]
    fn load<T: Plain>(base: u64, offset: u32) -> Option<T> {
        if offset == OFFSET_ABSENT {
            return None;
        }
        // SAFETY: the verifier accepts the load only where the pointer's BTF type has such a field.
        Some(unsafe {
            core::ptr::read_volatile((base as *const u8).wrapping_add(offset as usize).cast::<T>())
        })
    }
}

impl Memory for Probed {
    const IS_DIRECT: bool = false;

    #[inline(always)]
    fn load<T: Plain>(base: u64, offset: u32) -> Option<T> {
        if offset == OFFSET_ABSENT || global!(options.read_kernel) == 0 {
            return None;
        }
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the helper checks the source and fills the whole destination, with zeros when it fails.
        let status = unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                (base as *const u8).wrapping_add(offset as usize).cast(),
            )
        };
        // SAFETY: filled above.
        if status == 0 { Some(unsafe { value.assume_init() }) } else { None }
    }

    #[inline(always)]
    fn load_two<A: Plain, B: Plain>(base: u64, size: u32, first: u32, second: u32) -> (Option<A>, Option<B>) {
        let is_long = size != OFFSET_ABSENT && size as usize >= AT_ONCE;
        let fits = |offset: u32, size: usize| offset as usize <= AT_ONCE - size;
        if !is_long || !fits(first, size_of::<A>()) || !fits(second, size_of::<B>()) {
            return (Self::load(base, first), Self::load(base, second));
        }
        let Some(bytes) = Self::load::<[u64; AT_ONCE / 8]>(base, 0) else { return (None, None) };
        let at = |offset: u32| (&raw const bytes).cast::<u8>().wrapping_add(offset as usize);
        // SAFETY: inside the bytes, as was asked above; both offsets are aligned as members of a structure are.
        unsafe {
            (
                Some(core::ptr::read_volatile(at(first).cast::<A>())),
                Some(core::ptr::read_volatile(at(second).cast::<B>())),
            )
        }
    }
}
