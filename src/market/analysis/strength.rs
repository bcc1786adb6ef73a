//! How much is to be made of what a chart shows. Pure.

use serde::Serialize;

/// Of a level, by how often the price turned there; of a pattern, by how well it is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// Once; barely.
    Weak,
    /// Twice; well.
    Moderate,
    /// Three times or more; as in the book.
    Strong,
}

impl Strength {
    /// "weak"
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Moderate => "moderate",
            Self::Strong => "strong",
        }
    }

    pub(super) fn more(self) -> Self {
        match self {
            Self::Weak => Self::Moderate,
            Self::Moderate | Self::Strong => Self::Strong,
        }
    }
}
