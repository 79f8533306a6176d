//! Structs that say beside each field what is in it before anything has happened.
//! Storage lies in statics, so that value is a constant, and `Default` cannot give it.

/// Declares a struct and the constant of its first value, which is named behind it:
/// `struct Place: EMPTY { number: u32 = 0, }`.
macro_rules! initial {
    ($(#[$meta:meta])* $vis:vis struct $name:ident$(<$life:lifetime>)?: $first:ident {
        $($(#[$doc:meta])* $field_vis:vis $field:ident: $type:ty = $value:expr,)*
    }) => {
        $(#[$meta])*
        $vis struct $name$(<$life>)? { $($(#[$doc])* $field_vis $field: $type,)* }

        impl$(<$life>)? $name$(<$life>)? {
            /// Before anything has happened.
            #[allow(
                clippy::declare_interior_mutable_const,
                reason = "copied into storage, never used in place"
            )]
            $vis const $first: Self = $name { $($field: $value,)* };
        }
    };
}

pub(crate) use initial;
