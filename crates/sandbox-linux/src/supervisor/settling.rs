//! Looks whether settings or an index are written that were opened by their own name: no call tells of that.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::time::Timespec;

use super::{
    World, fifo,
    git::{Pending, Session, Unfit},
    refusal::{Refusal, Who},
    refused::operation_of,
};

/// Puts in place what is written by now, and tells what is refused.
pub(super) fn settle(world: &World, session: &mut Session) {
    session.settle(|pending, unfit| tell(world, pending, unfit));
}

fn tell(world: &World, pending: &Pending, unfit: &Unfit) {
    let denial = world.rules.unfit(pending, unfit);
    (world.refused)(&Refusal {
        operation: operation_of(&denial),
        call: pending.writer.call,
        denial: &denial,
        permitted: false,
        who: Who::Answered(&pending.writer),
    });
}

/// How long to wait before the next look. A file is written in no time, and read by whoever comes next.
pub(super) fn pause(session: &Session, looks: &mut usize) -> Timespec {
    let is_soon = session.has_pending() && *looks < SOON;
    *looks += 1;
    Timespec {
        tv_sec: 0,
        tv_nsec: if is_soon {
            SHORT_PAUSE
        } else {
            fifo::PAUSE_NANOSECONDS
        },
    }
}

/// The last look, when nobody is left: the last process may be on its way out, with its descriptors.
pub(super) fn finish(world: &World, session: &mut Session) {
    let mut waited = Duration::ZERO;
    while waited < LAST_LOOKS {
        settle(world, session);
        if !session.has_pending() {
            return;
        }
        let start = Instant::now();
        thread::sleep(Duration::from_millis(1));
        waited += start.elapsed();
    }
    session.give_up(|pending, unfit| tell(world, pending, unfit));
}

/// How long that may wait. A large index takes its time besides.
const LAST_LOOKS: Duration = Duration::from_millis(300);
/// In nanoseconds.
const SHORT_PAUSE: i64 = 50_000;
/// How many such pauses follow one another.
const SOON: usize = 2000;
