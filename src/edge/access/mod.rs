//! Who is answered: by the name that a request calls this server, its token, and the page that it comes
//! from; and which pages may read the answers.

mod cors;
mod denied;
mod guard;
mod token_file;

pub use cors::Cors;
pub use denied::{Denied, Refusals};
pub use guard::Guard;
pub use token_file::{Token, TokenFile, start_token_reader};
