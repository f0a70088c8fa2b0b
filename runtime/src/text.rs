//! Strings as a compiled model takes and gives them: `struct smc_string`.
//!
//! Inputs are [`Text`]s, which borrow their bytes. What an output's elements point to may be bytes of an input, of the model or of
//! the workspace, so that an [`OutputText`] is read while all of these stay as they are.

use core::marker::PhantomData;

/// An element of an input: bytes that the caller lends.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text<'t> {
    data: *const u8,
    bytes: usize,
    lent: PhantomData<&'t [u8]>,
}

impl<'t> Text<'t> {
    pub const fn new(bytes: &'t [u8]) -> Text<'t> {
        Text { data: bytes.as_ptr(), bytes: bytes.len(), lent: PhantomData }
    }
}

// SAFETY: it is a shared reference to bytes.
unsafe impl Send for Text<'_> {}
// SAFETY: as above.
unsafe impl Sync for Text<'_> {}

impl<'t> From<&'t [u8]> for Text<'t> {
    fn from(bytes: &'t [u8]) -> Text<'t> {
        Text::new(bytes)
    }
}
impl<'t> From<&'t str> for Text<'t> {
    fn from(text: &'t str) -> Text<'t> {
        Text::new(text.as_bytes())
    }
}

/// An element of an output: where a call has left its bytes. A new one is empty.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OutputText {
    data: *const u8,
    bytes: usize,
}

impl OutputText {
    pub const EMPTY: OutputText = OutputText { data: core::ptr::null(), bytes: 0 };

    /// The number of bytes.
    pub const fn len(&self) -> usize {
        self.bytes
    }
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }
    /// The bytes.
    ///
    /// # Safety
    /// Since the call that wrote this element, neither the bytes of its inputs nor its workspace have changed, and they live for
    /// `'t`, as does the model.
    pub unsafe fn bytes<'t>(&self) -> &'t [u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: the model wrote an address and a length of such bytes, and the caller promises that they are there.
        unsafe { core::slice::from_raw_parts(self.data, self.bytes) }
    }
}

impl Default for OutputText {
    fn default() -> OutputText {
        OutputText::EMPTY
    }
}
