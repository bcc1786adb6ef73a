//! The page: files that are part of the program.

use crate::payload::Body;

use crate::edge::answer::Answer;
use crate::edge::answer::page::Asset;

/// `GET /`, `/threads` and what they name below `/assets/`.
#[must_use]
pub fn answer(asset: &Asset) -> Answer {
    let mut answer = Answer::built(Body::built(asset.bytes.to_vec()));
    answer.content_type = asset.content_type;
    for (name, value) in asset.headers() {
        answer.set(name, value.to_owned());
    }
    answer
}
