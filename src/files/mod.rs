//! Files by names that somebody else may have made.

pub mod regular;
