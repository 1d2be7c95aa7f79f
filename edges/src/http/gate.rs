//! The accounts domain as the gate that callers pass.

use accounts::{AccountsHandle, Identity};
use futures::future::BoxFuture;

use super::caller::Gate;
use super::problem::Problem;

impl Gate for AccountsHandle {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, Problem>> {
        Box::pin(async move { Ok(self.verify(token).await?) })
    }

    fn ended(&self, identity: &Identity) -> BoxFuture<'static, ()> {
        let mut watch = self.watch(identity.token_id, identity.expires_at);
        Box::pin(async move {
            let ending = watch.ended().await;
            tracing::debug!(?ending, "token ended");
        })
    }
}
