//! Files by names that somebody else may have made, and those that only the kernel makes.

pub mod proc;
pub mod regular;
