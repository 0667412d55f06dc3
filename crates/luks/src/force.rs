//! Whether a person has said yes to what cannot be decided without one.

/// What a plan does about its concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is not carried out while there is one.
    No,
    /// It is carried out: a person knows of them.
    Yes,
}
