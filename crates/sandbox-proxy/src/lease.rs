//! What a connection that was opened under one policy may rely on when another takes its place.
//!
//! Whoever carries bytes waits for [`Lease::revoked`] beside them. Each new policy judges the target
//! again, and the address that was dialled; the connection goes on only if it could be opened anew.

use std::{net::IpAddr, sync::Arc};

use sandbox_policy::{AddressClass, Denial, DenialReason, NetworkPolicy, Target, Verdict};
use tokio::sync::watch;

use crate::{
    authorize::Gate,
    event::{FrontEnd, Outcome},
    serve::Session,
};

/// A connection's right to go on.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    target: Target,
    /// Where it leads, unless a proxy of the user's own knows.
    dialled: Option<IpAddr>,
    /// Whether the decider approved it, and no rule.
    was_asked: bool,
    /// Has seen the policy that it was opened under.
    policies: watch::Receiver<Arc<NetworkPolicy>>,
}

impl Lease {
    pub(crate) fn new(
        target: Target,
        was_asked: bool,
        policies: watch::Receiver<Arc<NetworkPolicy>>,
    ) -> Self {
        Self {
            target,
            dialled: None,
            was_asked,
            policies,
        }
    }

    /// The same for another target that a rule permits.
    pub(crate) fn for_target(&self, target: Target) -> Self {
        Self::new(target, false, self.policies.clone())
    }

    /// With the address that was dialled for it.
    pub(crate) fn dialled(mut self, address: IpAddr) -> Self {
        self.dialled = Some(address);
        self
    }

    /// Ends when a policy refuses the connection, after that was reported.
    pub(crate) async fn revoked(mut self, session: &Session, front_end: FrontEnd) {
        let gate = &session.shared.gate;
        let denial = self.refusal(gate).await;
        let target = Some(self.target);
        gate.report(session.client, front_end, target, Outcome::Denied(denial));
    }

    /// Ends when a policy refuses the connection.
    pub(crate) async fn refusal(&mut self, gate: &Gate) -> Denial {
        loop {
            if self.policies.changed().await.is_err() {
                // No policy will follow: the proxy is going away, which ends connections by itself.
                std::future::pending::<()>().await;
            }
            let policy = Arc::clone(&self.policies.borrow_and_update());
            if let Err(denial) = self.judge(&policy, gate) {
                return denial;
            }
        }
    }

    fn judge(&self, policy: &NetworkPolicy, gate: &Gate) -> Result<(), Denial> {
        let permit = match gate.judge(policy, self.target.clone()) {
            Verdict::Allow(permit) => permit,
            Verdict::Deny(denial) => return Err(denial),
            // The answer was for this connection. Where a rule had permitted it nobody was asked, and
            // nobody is in the middle of a connection.
            Verdict::Ask(question) if self.was_asked => question.approve(),
            Verdict::Ask(question) => return Err(question.unanswered()),
        };
        let Some(address) = self.dialled else {
            return Ok(());
        };
        // Without the host's own addresses nothing could be opened either.
        let own = gate.own().get().map_err(|_unknown| {
            let reason = DenialReason::AddressDenied(AddressClass::OwnHost);
            Denial {
                note: Some("the host's own addresses are not known".to_owned()),
                ..Denial::by_default(reason, self.target.to_string())
            }
        })?;
        permit.resolve(policy, &[address], &own).map(|_resolved| ())
    }
}
