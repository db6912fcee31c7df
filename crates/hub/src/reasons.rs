//! Reasons: enums of why something happened, whose occurrences are counted.
//!
//! What must hold: whatever variant there is has a place in every array of counters and a name in
//! every metric. So the list, the names and the numbers are made from the one declaration.

/// Declares an enum of reasons: each variant with the name that metrics and clients read.
#[macro_export]
macro_rules! reasons {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$meta:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $($(#[$meta])* $variant,)+
        }

        impl $name {
            /// Every reason, each at its number.
            $visibility const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The name that metrics and clients read.
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// A number for arrays of counters.
            $visibility const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::GapReason;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        for (place, reason) in GapReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert!(!reason.as_str().is_empty());
        }
    }
}
