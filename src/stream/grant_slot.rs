//! Where a session's write grant lies while nobody writes.

use crossbeam::channel::{Receiver, Sender};

use crate::runtime::one_shot;

use super::write_grant::WriteGrant;

/// A channel with room for the one grant of a session. Both the hub and the session's writer hold a clone.
#[derive(Clone, Debug)]
pub struct GrantSlot {
    give: Sender<WriteGrant>,
    take: Receiver<WriteGrant>,
}

impl GrantSlot {
    /// That of a new session, still empty, and the grant.
    #[must_use]
    pub fn of_new_session() -> (Self, WriteGrant) {
        let (give, take) = one_shot();
        (Self { give, take }, WriteGrant::of_new_session())
    }

    /// The grant, if it is there. Does not wait.
    #[must_use]
    pub fn take(&self) -> Option<WriteGrant> {
        self.take.try_recv().ok()
    }

    /// Puts the grant back. Does not wait.
    pub fn give_back(&self, grant: WriteGrant) {
        // There is room: of a session's grant there is one.
        drop(self.give.try_send(grant));
    }

    /// Where it can be waited for.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<WriteGrant> {
        &self.take
    }
}
