//! What is to be done at the end of a scope, also when a panic ends it. Whoever wants
//! it done then alone forgets it before.

/// Does it when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
