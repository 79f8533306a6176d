//! How deep the stack went. It is painted once at the start, from the end of
//! the statics up to where it is then; what has lost its colour was used.

unsafe extern "C" {
    /// The end of the statics; the stack grows down to here.
    #[link_name = "__sheap"]
    static mut LOWEST: u32;
    #[link_name = "_stack_start"]
    static HIGHEST: u32;
}

const PAINT: u32 = 0x5741_4e53;

/// What the caller of [`paint`] and its own frame may still be using.
const IN_USE: usize = 64;

/// Paints the free stack. To be called first of all.
#[inline(never)]
pub fn paint() {
    let here = 0_u32;
    let end = (&raw const here as usize - IN_USE) as *mut u32;
    let mut word = &raw mut LOWEST;
    while word < end {
        // SAFETY: between the statics and the stack pointer nothing lives.
        unsafe { word.write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

/// The most bytes of stack that were ever in use.
pub fn high_water() -> usize {
    let top = &raw const HIGHEST;
    let mut word = &raw mut LOWEST as *const u32;
    // SAFETY: reads of memory that is there.
    while word < top && unsafe { word.read_volatile() } == PAINT {
        word = word.wrapping_add(1);
    }
    top as usize - word as usize
}

/// How many bytes there are.
pub fn size() -> usize {
    &raw const HIGHEST as usize - &raw mut LOWEST as usize
}
