//! What is needed soon is fetched ahead of its use, on a core that can be asked to. It
//! pays for a host with thousands of connections, whose memory is in no cache, and
//! costs whoever has few: so it is the feature `prefetch`, and without it nothing asks.
#![allow(unsafe_code)]

/// Whether anything is fetched ahead.
pub(crate) const ON: bool = cfg!(feature = "prefetch");

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Has the core fetch what lies there while it does something else. Nothing
/// where it cannot be asked to.
#[inline]
pub(crate) fn fetch(start: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        let line = start.wrapping_add(offset);
        #[cfg(all(target_arch = "x86_64", target_feature = "sse", not(miri)))]
        // SAFETY: this is a hint, which reads nothing and for which any address
        // will do; every core with SSE has it.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(line.cast())
        };
        let _ = line;
    }
}
