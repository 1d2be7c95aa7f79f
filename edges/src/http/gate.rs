//! The accounts domain as the gate that callers pass.

use accounts::{AccountsHandle, TOKEN_PREFIX};
use futures::future::BoxFuture;

use super::caller::{Caller, Gate};
use super::problem::Problem;

impl Gate for AccountsHandle {
    /// A signed token has points, a personal access token has its prefix and none: neither can be mistaken for the other.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(async move {
            if token.contains('.') && !token.starts_with(TOKEN_PREFIX) {
                Ok(Caller::Session(self.sessions().verify(token).await?))
            } else {
                Ok(Caller::Token(self.verify(token).await?))
            }
        })
    }

    fn ended(&self, caller: &Caller) -> BoxFuture<'static, ()> {
        let mut watch = match caller {
            Caller::Local { .. } => return Box::pin(std::future::pending()),
            Caller::Token(identity) => self.watch(identity.token_id, identity.expires_at),
            Caller::Session(identity) => self.sessions().watch(identity),
        };
        Box::pin(async move {
            let ending = watch.ended().await;
            tracing::debug!(?ending, "token or session ended");
        })
    }
}
