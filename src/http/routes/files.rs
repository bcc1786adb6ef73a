//! What the trader's files say, from the file reader's board.

use crate::files::History;

use super::super::answer::Answer;
use super::super::context::Context;

/// `GET /api/runners`: the object in `runners.json` as last read in one piece.
pub fn runners(context: &Context<'_>) -> Answer {
    let Some(files) = context.boards.files() else {
        return Answer::error(
            503,
            "runners.json has not been read yet; try again in a second",
        );
    };
    if let Some(runners) = &files.runners {
        return Answer::json(runners.json.clone());
    }
    let why = files
        .runners_error
        .as_deref()
        .unwrap_or("there is no such file in the trader's data folder");
    Answer::error(503, &format!("runners.json could not be read: {why}"))
}

/// `GET /api/trade-history`: an array of every line of `trade_outcomes.jsonl` that is an object.
pub fn trade_history(context: &Context<'_>) -> Answer {
    match context.boards.files().map(|f| &f.history) {
        Some(History::Read { json, .. }) => Answer::json(json.clone()),
        Some(History::Unreadable(why)) => {
            Answer::error(500, &format!("The trade history could not be read: {why}"))
        }
        Some(History::Missing) => Answer::json(*b"[]"),
        None => Answer::error(
            503,
            "The trade history has not been read yet; try again in a second",
        ),
    }
}
