//! Another daemon writes the same table.

use ground::audit::By;
use std::time::Duration;

use supervisor::Fault;
use tokio::time::timeout;

use super::house::{House, eventually};
use crate::*;

#[tokio::test]
async fn what_another_daemon_revokes_ends_here_too() {
    ::store::testing::on_both(async |db| {
        let (here, there) = (House::new(&db).await, House::new(&db).await);
        let (told, secret) = here.token().await;
        here.verify(&secret).await.expect("valid");
        there.verify(&secret).await.expect("valid there too");
        let mut stream = here.accounts.watch(told.id, None);
        there
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked");
        let ending = timeout(Duration::from_secs(20), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        let error = here.verify(&secret).await.expect_err("revoked");
        assert_eq!(error.code(), "accounts.revoked_token");
        here.stop().await;
        there.stop().await;
    })
    .await;
}

/// Rows go away when they have to make room: that must not bring a token back.
#[tokio::test]
async fn a_token_whose_row_is_gone_ends() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let mut stream = house.accounts.watch(told.id, None);
        db.execute("DELETE FROM tokens WHERE id = $1", ground::args![told.id])
            .await
            .expect("deleted");
        eventually("it is checked again", async || {
            house.verify(&secret).await.is_err()
        })
        .await;
        assert!(matches!(
            house.verify(&secret).await,
            Err(AccountsError::Unknown)
        ));
        let ending = timeout(Duration::from_secs(20), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        house.stop().await;
    })
    .await;
}
