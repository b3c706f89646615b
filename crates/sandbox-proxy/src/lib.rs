//! The network gate: HTTP and SOCKS5 proxies that decide with one policy.
//!
//! # Life of a connection
//!
//! 1. The launcher makes listening sockets in the sandbox's network namespace and hands them over.
//!    [`Proxy::serve_http`] and [`Proxy::serve_socks5`] accept on them. Whoever reaches such a
//!    listener is the sandbox, so nobody is asked for a password.
//! 2. A front end (`http`, `socks5`) reads what the client wants and turns it into one canonical
//!    target, or refuses it as malformed.
//! 3. `authorize` judges the target. Where no rule decides, the host program's [`Decide`] is asked,
//!    with a deadline; silence, panic and absence are refusals.
//! 4. A permitted name is resolved once ([`Resolve`]) and every address is judged. No name is
//!    looked up before it was permitted.
//! 5. `upstream` dials an address that was judged: the only outgoing connect of the workspace. Where
//!    the user has proxies of their own, `external` asks one of them for the target instead, and
//!    names are left to it: step 4 is then for address literals and `localhost` only.
//! 6. Bytes are relayed (`tunnel`) or, for plain HTTP, messages are forwarded (`http::forward`), until
//!    a policy that takes the place of the first one refuses the target (`lease`).
//! 7. Each attempt becomes one [`ProxyEvent`].
//!
//! Programs that know nothing of proxies come in another way. The name service (`dns`) answers
//! permitted names with synthetic addresses, and the `transparent` front end turns the address that
//! a connection was made to back into the name: its step 2. The rest is the same for all.
//!
//! A single port of the host's loopback has a listener of its own inside (`host_port`), whose address
//! is the target: step 2 again. In the other direction, connections to a published port of the host
//! are led to the server inside (`published`); the command takes no part, so nothing is judged.
//!
//! # Terminology
//!
//! *Downstream* is the client's side, *upstream* the server's. *Origin-form* (`/p`),
//! *absolute-form* (`http://h/p`) and *authority-form* (`h:p`) are the request targets of
//! RFC 9112 §3.2. To *drain* is to stop accepting and to let open connections finish.
#![forbid(unsafe_code)]

mod authorize;
mod buffer;
mod config;
mod decider;
mod dns;
mod event;
mod explain;
mod external;
mod host_port;
mod http;
mod lease;
mod loopback;
mod own;
mod proxy;
mod published;
mod resolve;
mod serve;
mod socks5;
mod transparent;
mod tunnel;
mod upstream;

use std::pin::Pin;

pub use config::ProxyConfig;
pub use decider::{Decide, Decision};
pub use event::{EventReceiver, EventSink, FrontEnd, Outcome, ProxyEvent};
pub use explain::plain_text;
pub use external::ExternalProxies;
pub use own::HostAddresses;
pub use proxy::Proxy;
pub use published::Enter;
pub use resolve::{Resolve, SystemResolver};

/// A future of an object-safe trait's method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
