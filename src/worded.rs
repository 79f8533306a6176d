//! Enums each of whose variants is said in words, which stand beside it.

/// Declares an enum, and its `Display`: `pub enum Answer { Yes: "yes", No: "no", }`.
macro_rules! worded {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $(= $number:literal)?: $words:literal,)*
    }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* $variant $(= $number)?,)* }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $($name::$variant => $words,)* })
            }
        }
    };
}

pub(crate) use worded;
