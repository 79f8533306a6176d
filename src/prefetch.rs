//! Asking a core to fetch memory before it is used.
#![allow(unsafe_code)]

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
