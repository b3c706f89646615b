//! The name service of the sandbox.
//!
//! A permitted name is answered with a synthetic address out of a table, and a connection to that
//! address, which arrives at the transparent front end, is judged, resolved and dialled by the name
//! that the table has for it. So the program's look-up and the real one are apart: the real one
//! happens once, on the host, after a connection was permitted, and a name that is refused is never
//! looked up at all.
//!
//! Records that are no addresses are asked for at the host's name servers, for names that the policy
//! lists (`forward`). Where a proxy looks the name up, there are no such records.

mod answer;
mod forward;
mod names;
mod query;
mod recent;
mod synthetic;
mod tcp;
mod udp;

use std::{io, net::IpAddr, sync::Arc};

use sandbox_policy::{Denial, DenialReason, Host, HostName, Target};
use tokio::time;

use self::{
    answer::{Pending, Reply, Transport},
    names::NameTable,
    recent::Recent,
    synthetic::Meaning,
};
use crate::{
    authorize::{Client, Gate},
    event::{FrontEnd, Outcome},
    external,
    proxy::Shared,
};

pub(crate) use tcp::serve as serve_tcp;
pub(crate) use udp::Server as UdpServer;

/// A name, a question around it and options take 300 bytes; cookies and padding some more.
const LONGEST_QUERY: usize = 4096;

/// What the name service and the front ends of a proxy share.
#[derive(Debug)]
pub(crate) struct NameService {
    names: Arc<NameTable>,
    reported: Recent,
}

/// What an address is to the name service.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
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

    /// What a program means that asks for this target, whatever it asks: a program that looks names
    /// up itself has the address that was made up for one.
    ///
    /// # Errors
    /// The refusal of a synthetic address that stands for no name.
    pub(crate) fn meant(&self, asked: Target) -> Result<Target, Denial> {
        let Host::Ip(address) = asked.host else {
            return Ok(asked);
        };
        match self.origin(address.to_canonical()) {
            Origin::Name(name) => Ok(Target::new(Host::Name(name), asked.port)),
            Origin::Foreign => Ok(asked),
            // The namespace's own addresses are among these.
            Origin::Stale => Err(Denial {
                note: Some("the address stands for no name that was looked up".to_owned()),
                ..Denial::by_default(DenialReason::HostNotAllowed, asked.to_string())
            }),
        }
    }

    fn origin(&self, address: IpAddr) -> Origin {
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
    fn answer(
        &self,
        message: &[u8],
        transport: Transport,
        gate: &Gate,
        client: Client,
    ) -> Option<Reply> {
        let judge = |name: &HostName| gate.judge_lookup(name);
        let mut reply = answer::answer(message, transport, &self.names, judge)?;
        if let Reply::Ready(answer) = &mut reply
            && let Some(denial) = answer.denial.take()
            && self.reported.note(&denial.object)
        {
            gate.report(client, FrontEnd::Dns, None, Outcome::Denied(denial));
        }
        Some(reply)
    }
}

/// Has name servers asked and answers with what they say.
async fn complete(pending: Box<Pending>, shared: &Shared) -> Option<Vec<u8>> {
    let config = &shared.config;
    let said = async {
        if pending
            .name()
            .is_none_or(|name| external::is_anothers(config, &name))
        {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let query = pending.query()?;
        time::timeout(config.record_timeout, shared.gate.exchange(&query))
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    };
    let said = said.await;
    pending.finish(said)
}

#[cfg(test)]
mod tests;
