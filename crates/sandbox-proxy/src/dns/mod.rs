//! The name service of the sandbox.
//!
//! A permitted name is answered with a synthetic address out of a table, and a connection to that
//! address, which arrives at the transparent front end, is judged, resolved and dialled by the name
//! that the table has for it. So the program's look-up and the real one are apart: the real one
//! happens once, on the host, after a connection was permitted, and a name that is refused is never
//! looked up at all.

mod answer;
mod names;
mod query;
mod recent;
mod synthetic;
mod tcp;
mod udp;

use std::{net::IpAddr, sync::Arc};

use sandbox_policy::HostName;

use self::{names::NameTable, recent::Recent, synthetic::Meaning};
use crate::{
    authorize::{Client, Gate},
    event::{FrontEnd, Outcome},
};

pub(crate) use tcp::serve as serve_tcp;
pub(crate) use udp::Server as UdpServer;

/// A name, a question around it and options take 300 bytes; cookies and padding some more.
const LONGEST_QUERY: usize = 4096;

/// What the name service and the transparent front end of a proxy share.
#[derive(Debug)]
pub(crate) struct NameService {
    names: Arc<NameTable>,
    reported: Recent,
}

/// What an address is to the name service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was handed out for this name.
    Name(HostName),
    /// It is synthetic, but stands for nothing (any more).
    Stale,
    /// It is no address of ours.
    Foreign,
}

impl NameService {
    pub(crate) fn new() -> Self {
        Self {
            names: Arc::new(NameTable::new()),
            reported: Recent::new(),
        }
    }

    /// The same names for another command, whose refusals are told apart.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            names: Arc::clone(&self.names),
            reported: Recent::new(),
        }
    }

    /// What a program means that connects to this address.
    pub(crate) fn origin(&self, address: IpAddr) -> Origin {
        match synthetic::meaning(address) {
            Meaning::Address => Origin::Foreign,
            Meaning::Nothing => Origin::Stale,
            Meaning::Name(index) => self.names.name(index).map_or(Origin::Stale, Origin::Name),
        }
    }

    /// The addresses that a name has from now on.
    #[cfg(test)]
    pub(crate) fn assign(&self, name: &HostName) -> [IpAddr; 2] {
        let index = self.names.assign(name).expect("the table has room");
        [index.v4().into(), index.v6().into()]
    }

    /// Answers a message and reports what was refused; `None` where silence is the answer.
    fn answer(&self, message: &[u8], gate: &Gate, client: Client) -> Option<Vec<u8>> {
        let answer = answer::answer(message, &self.names, |name| gate.judge_lookup(name))?;
        if let Some(denial) = answer.denial
            && self.reported.note(&denial.object)
        {
            gate.report(client, FrontEnd::Dns, None, Outcome::Denied(denial));
        }
        Some(answer.bytes)
    }
}

#[cfg(test)]
mod tests;
