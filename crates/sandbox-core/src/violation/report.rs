//! From the sources, the supervisor and the proxies, to the store.

use std::sync::Arc;

use sandbox_policy::Operation;
use sandbox_proxy::{EventSink, FrontEnd, Outcome, ProxyEvent};

use super::{
    ViolationStore,
    store::{Refused, Refusee},
};

/// Reports the refusals of one command.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    pub(crate) store: ViolationStore,
    pub(crate) command: Arc<str>,
}

impl Reporter {
    /// Where the proxies report. `find` names the program with a socket: by the front end that it came
    /// to, and its port.
    pub(crate) fn events(
        &self,
        find: impl Fn(FrontEnd, u16) -> Option<Refusee> + Send + Sync + 'static,
    ) -> EventSink {
        let Self { store, command } = self.clone();
        EventSink::call(move |event: ProxyEvent| {
            let Outcome::Denied(denial) = &event.outcome else {
                return;
            };
            let operation = if event.front_end == FrontEnd::Dns {
                Operation::Lookup
            } else {
                Operation::Connect
            };
            let refused = Refused {
                command: &command,
                operation,
                call: None,
                denial,
                permitted: false,
            };
            let who = || find(event.front_end, event.client_port).unwrap_or_default();
            store.report(refused, who);
        })
    }
}

#[cfg(target_os = "linux")]
mod supervisor {
    //! The supervisor's refusals.

    use std::{ffi::OsString, path::PathBuf, sync::Arc};

    use sandbox_linux::{Program, Refusal, RefusalSink};

    use super::{Refused, Refusee, Reporter};

    impl Reporter {
        /// Where the supervisor reports.
        pub(crate) fn refusals(&self) -> RefusalSink {
            let Self { store, command } = self.clone();
            Arc::new(move |refusal: &Refusal<'_>| {
                let refused = Refused {
                    command: &command,
                    operation: refusal.operation,
                    call: Some(refusal.call),
                    denial: refusal.denial,
                    permitted: refusal.permitted,
                };
                store.report(refused, || Refusee::from(refusal.program()));
            })
        }
    }

    impl From<Program> for Refusee {
        fn from(program: Program) -> Self {
            let text = |text: OsString| text.display().to_string();
            Self {
                pid: program.process,
                program: program.name.map(text),
                executable: program.executable.map(PathBuf::into_os_string).map(text),
            }
        }
    }
}
