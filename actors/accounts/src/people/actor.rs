//! The actor that looks after people: takes requests and hands each to an owned task, since all of them wait for the database or for a
//! hash. It keeps nothing: users are in the database, and what was guessed wrong is remembered beside it.

use std::future::Future;
use std::sync::Arc;

use supervisor::{Context, Reply, StartError, Worker, WorkerError};

use super::desk::Desk;
use super::error::PeopleError;
use super::messages::PeopleMsg;

/// The actor behind [`People`](super::People).
pub(crate) struct PeopleActor {
    desk: Arc<Desk>,
}

impl Worker for PeopleActor {
    type Msg = PeopleMsg;
    type Seed = Arc<Desk>;

    async fn start(seed: Arc<Desk>, _cx: &Context<PeopleMsg>) -> Result<Self, StartError> {
        Ok(Self { desk: seed })
    }

    async fn handle(&mut self, msg: PeopleMsg, cx: &Context<PeopleMsg>) -> Result<(), WorkerError> {
        let checked = self.desk.shared.people.hasher.done();
        cx.detail(
            "passwords_checked",
            i64::try_from(checked).unwrap_or(i64::MAX),
        );
        match msg {
            PeopleMsg::Setup {
                setup,
                source,
                reply,
            } => {
                self.serve(
                    cx,
                    reply,
                    |desk| async move { desk.setup(setup, source).await },
                );
            }
            PeopleMsg::Register {
                registration,
                source,
                reply,
            } => {
                self.serve(cx, reply, |desk| async move {
                    desk.register(registration, source).await
                });
            }
            PeopleMsg::SignIn {
                credentials,
                source,
                reply,
            } => {
                self.serve(cx, reply, |desk| async move {
                    desk.sign_in(credentials, source).await
                });
            }
            PeopleMsg::ChangePassword { by, change, reply } => {
                self.serve(cx, reply, |desk| async move {
                    desk.change_password(by, change).await
                });
            }
            msg => self.look_up(msg, cx),
        }
        Ok(())
    }

    fn message_name(msg: &PeopleMsg) -> &'static str {
        match msg {
            PeopleMsg::Setup { .. } => "setup",
            PeopleMsg::Register { .. } => "register",
            PeopleMsg::SignIn { .. } => "sign_in",
            PeopleMsg::ChangePassword { .. } => "change_password",
            PeopleMsg::Find { .. } => "find",
            PeopleMsg::FindByEmail { .. } => "find_by_email",
            PeopleMsg::List { .. } => "list",
            PeopleMsg::Create { .. } => "create",
            PeopleMsg::Change { .. } => "change",
            PeopleMsg::SetPassword { .. } => "set_password",
            PeopleMsg::RemoveFactors { .. } => "remove_factors",
            PeopleMsg::Invite { .. } => "invite",
            PeopleMsg::Export { .. } => "export",
            PeopleMsg::Erase { .. } => "erase",
            PeopleMsg::PrepareSetup { .. } => "prepare_setup",
        }
    }

    /// Whoever still waits for an answer gets it from the next one.
    fn survives_restart(_msg: &PeopleMsg) -> bool {
        true
    }
}

impl PeopleActor {
    /// What only reads, and then the rest.
    fn look_up(&self, msg: PeopleMsg, cx: &Context<PeopleMsg>) {
        match msg {
            PeopleMsg::Find { id, reply } => {
                self.serve(cx, reply, move |desk| async move { desk.find(id).await });
            }
            PeopleMsg::FindByEmail { email, reply } => {
                self.serve(
                    cx,
                    reply,
                    |desk| async move { desk.find_by_email(&email).await },
                );
            }
            PeopleMsg::List { page, email, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    desk.list(page, email).await
                });
            }
            PeopleMsg::Export { by, id, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.export(by, id).await },
                );
            }
            PeopleMsg::PrepareSetup { reply } => {
                self.serve(cx, reply, |desk| async move { desk.prepare_setup().await });
            }
            msg => self.look_after(msg, cx),
        }
    }

    /// What changes somebody; who may not is told to the audit.
    fn look_after(&self, msg: PeopleMsg, cx: &Context<PeopleMsg>) {
        match msg {
            PeopleMsg::Create { by, new, reply } => {
                self.serve(cx, reply, |desk| async move {
                    let made = desk.create(by.clone(), new).await;
                    desk.tell_denied(&by, "user.create", made).await
                });
            }
            PeopleMsg::Change {
                by,
                id,
                version,
                change,
                reply,
            } => {
                self.serve(cx, reply, move |desk| async move {
                    let changed = desk.change(by.clone(), id, version, change).await;
                    desk.tell_denied(&by, "user.change", changed).await
                });
            }
            PeopleMsg::RemoveFactors { by, id, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    let removed = desk.remove_factors(by.clone(), id).await;
                    desk.tell_denied(&by, "factor.remove", removed).await
                });
            }
            PeopleMsg::SetPassword {
                by,
                id,
                password,
                reply,
            } => {
                self.serve(cx, reply, move |desk| async move {
                    let set = desk.set_password(by.clone(), id, password).await;
                    desk.tell_denied(&by, "user.password", set).await
                });
            }
            PeopleMsg::Invite { by, new, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    let invite = desk.invite(by.clone(), new).await;
                    desk.tell_denied(&by, "invite.create", invite).await
                });
            }
            PeopleMsg::Erase { by, id, reply } => {
                self.serve(cx, reply, move |desk| async move {
                    let erased = desk.erase(by.clone(), id).await;
                    desk.tell_denied(&by, "user.erase", erased).await
                });
            }
            // `handle`, which alone calls this, gives it no others.
            _ => {}
        }
    }

    /// Runs `work` in a task of its own, to its end even when the caller leaves.
    fn serve<T, E, F, W>(&self, cx: &Context<PeopleMsg>, reply: Reply<Result<T, E>>, work: W)
    where
        T: Send + 'static,
        E: From<PeopleError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        W: FnOnce(Arc<Desk>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.desk.places).try_acquire_owned() else {
            let busy = PeopleError::Busy {
                retry_after: ground::db::BUSY_RETRY,
            };
            return reply.send(Err(busy.into()));
        };
        let desk = Arc::clone(&self.desk);
        cx.offload(async move {
            let result = work(desk).await;
            drop(place);
            reply.send(result);
        });
    }
}
