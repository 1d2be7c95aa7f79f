//! Who may do what: every route of the served description, asked by everybody, in one walk.
//!
//! Why a table of its own and not the daemon's: the daemon's says what the daemon believes. This one says what was promised, each row can be
//! read and doubted, and a new route that nobody thought about fails here until somebody does.
//!
//! Domains: `accounts`, `ptys`.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use kit::issuer::{Issuer, Person};
use kit::{
    Authenticator, Client, Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases,
};
use serde_json::{Value, json};

use crate::support::{daemon, id_of, open, shell, url_of};

on_both_databases![
    every_route_answers_whom_it_should,
    a_terminal_is_for_the_roles_that_are_named,
];

/// Who asks. `member` and `other` have the same role: what the walk makes is `member`'s.
const CALLERS: [&str; 6] = ["anonymous", "viewer", "member", "other", "admin", "owner"];
/// The order in which they ask: whose it is comes last, who then may end it.
const ORDER: [usize; 6] = [0, 1, 3, 4, 5, 2];
const MEMBER: usize = 2;
const OWNER: usize = 5;

/// What each of [`CALLERS`] is answered. `ok` is a success, everything else the status; `404` is what others' things are. Where all are
/// answered alike it is not they who are refused, but what they show: a token that nobody was mailed, a setup that is over, a factor that
/// nobody has.
///
/// The walk goes from top to bottom: what ends something of the callers themselves stands last.
const TABLE: &str = "
    METHOD PATH                                    anonymous viewer member other admin owner

    GET    /                                             401     ok     ok    ok    ok    ok
    GET    /.well-known/jwks.json                         ok     ok     ok    ok    ok    ok
    GET    /api/docs                                     401     ok     ok    ok    ok    ok
    GET    /api/openapi.json                             401     ok     ok    ok    ok    ok
    GET    /health                                        ok     ok     ok    ok    ok    ok
    GET    /health/live                                   ok     ok     ok    ok    ok    ok
    GET    /health/ready                                  ok     ok     ok    ok    ok    ok
    GET    /info                                          ok     ok     ok    ok    ok    ok
    GET    /metrics                                      401     ok     ok    ok    ok    ok

    GET    /api/v1/status                                401     ok     ok    ok    ok    ok
    GET    /api/v1/status/events                         401     ok     ok    ok    ok    ok
    GET    /api/v1/status/stream                         401     ok     ok    ok    ok    ok
    GET    /api/v1/status/waits                          401     ok     ok    ok    ok    ok
    GET    /api/v1/status/{path}                         401     ok     ok    ok    ok    ok
    POST   /api/v1/supervisor/{path}/restart             401    403    403   403    ok    ok
    POST   /api/v1/supervisor/{path}/stop                401    403    403   403    ok    ok
    POST   /api/v1/supervisor/{path}/start               401    403    403   403    ok    ok
    GET    /api/v1/drills                                401     ok     ok    ok    ok    ok
    POST   /api/v1/drills/{name}                         401    403    403   403    ok    ok
    GET    /api/v1/drills/runs/{id}                      401     ok     ok    ok    ok    ok
    GET    /api/v1/audit                                 401    403    403   403    ok    ok
    GET    /api/v1/audit/export                          401    403    403   403    ok    ok
    GET    /api/v1/audit/verify                          401    403    403   403    ok    ok
    GET    /api/v1/mail                                  401    403    403   403    ok    ok
    POST   /api/v1/mail/{id}/retry                       401    403    403   403    ok    ok

    GET    /api/v1/terminals                             401     ok     ok    ok    ok    ok
    POST   /api/v1/terminals                             401    403     ok    ok    ok    ok
    GET    /api/v1/terminals/{id}                        401    404     ok   404   404   404
    PATCH  /api/v1/terminals/{id}                        401    403     ok   404   404   404
    GET    /api/v1/terminals/{id}/attach                 401    403     ok   404   404   404
    DELETE /api/v1/terminals/{id}                        401    403     ok   404   404   404
    POST   /api/v1/ws-ticket                             401     ok     ok    ok    ok    ok

    GET    /api/v1/tokens                                401     ok     ok    ok    ok    ok
    POST   /api/v1/tokens                                401     ok     ok    ok    ok    ok
    DELETE /api/v1/tokens/{id}                           401    404     ok   404   404   404

    GET    /api/v1/me                                    401     ok     ok    ok    ok    ok
    PATCH  /api/v1/me                                    401     ok     ok    ok    ok    ok
    GET    /api/v1/me/export                             401     ok     ok    ok    ok    ok
    GET    /api/v1/users                                 401    403    403   403    ok    ok
    POST   /api/v1/users                                 401    403    403   403    ok    ok
    POST   /api/v1/users/invites                         401    403    403   403    ok    ok
    GET    /api/v1/users/{id}                            401    404     ok   404    ok    ok
    PATCH  /api/v1/users/{id}                            401    403    403   403    ok    ok
    GET    /api/v1/users/{id}/export                     401    404     ok   404    ok    ok
    POST   /api/v1/users/{id}/invites                    401    403    403   403    ok    ok
    DELETE /api/v1/users/{id}/factors                    401    403    403   403    ok    ok
    POST   /api/v1/users/{id}/password                   401    403    403   403    ok    ok
    DELETE /api/v1/users/{id}/sessions                   401    403    403   403    ok    ok
    DELETE /api/v1/users/{id}                            401    403    403   403    ok    ok

    POST   /api/v1/setup                                 409    409    409   409   409   409
    POST   /api/v1/auth/register                          ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/login                             ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/refresh                           ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/password/forgot                   ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/password/reset                   403    403    403   403   403   403
    POST   /api/v1/auth/email/verify                     403    403    403   403   403   403
    POST   /api/v1/auth/email/verify/resend              401     ok     ok    ok    ok    ok
    POST   /api/v1/auth/email/change                     401     ok     ok    ok    ok    ok
    GET    /api/v1/auth/issuers                           ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/issuers/{name}/begin              ok     ok     ok    ok    ok    ok
    GET    /api/v1/auth/issuers/{name}/callback           ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/issuers/{name}/finish             ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/issuers/{name}/link/begin        401     ok     ok    ok    ok    ok
    GET    /api/v1/auth/identities                       401     ok     ok    ok    ok    ok
    DELETE /api/v1/auth/identities/{issuer}              401    404     ok   404   404   404
    GET    /api/v1/auth/factors                          401     ok     ok    ok    ok    ok
    POST   /api/v1/auth/totp/confirm                     401    409    409   409   409   409
    POST   /api/v1/auth/totp/disable                     401    409    409   409   409   409
    POST   /api/v1/auth/recovery-codes                   401    409    409   409   409   409
    POST   /api/v1/auth/totp/enroll                      401     ok     ok    ok    ok    ok
    POST   /api/v1/auth/passkeys/login/begin              ok     ok     ok    ok    ok    ok
    POST   /api/v1/auth/passkeys/login/finish            401    401    401   401   401   401
    POST   /api/v1/auth/passkeys/register/begin          401     ok     ok    ok    ok    ok
    POST   /api/v1/auth/passkeys/register/finish         401    403    403   403   403   403
    GET    /api/v1/auth/passkeys                         401     ok     ok    ok    ok    ok
    PATCH  /api/v1/auth/passkeys/{id}                    401    404     ok   404   404   404
    DELETE /api/v1/auth/passkeys/{id}                    401    404     ok   404   404   404
    POST   /api/v1/auth/password/change                  401    422    422   422   422   422

    GET    /api/v1/auth/sessions                         401     ok     ok    ok    ok    ok
    DELETE /api/v1/auth/sessions/{id}                    401    404     ok   404   404   404
    POST   /api/v1/auth/logout                           401     ok     ok    ok    ok    ok
    DELETE /api/v1/auth/sessions                         401     ok     ok    ok    ok    ok
";

const PASSWORD: &str = "quartz lantern ferry";
/// A node on which nothing of the walk depends.
const NODE: &str = "idempotency/keeper";

/// A row of [`TABLE`].
struct Row {
    method: Method,
    path: &'static str,
    answers: [&'static str; 6],
}

fn rows() -> Vec<Row> {
    let lines = TABLE
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = lines.filter(|words| !words.is_empty() && words[0] != "METHOD");
    rows.map(|words| Row {
        method: words[0].parse().expect("a method"),
        path: words[1],
        answers: words[2..].try_into().expect("an answer for each caller"),
    })
    .collect()
}

/// An answer as the walk compares it.
struct Answer {
    status: u16,
    /// The code of a problem.
    code: Option<String>,
    body: Value,
    text: String,
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        Self::new(reply.status, reply.text())
    }

    fn new(status: u16, text: String) -> Self {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let code = body["code"].as_str().filter(|_| status >= 400);
        Self {
            status,
            code: code.map(str::to_owned),
            body,
            text,
        }
    }

    /// What the table calls it.
    fn word(&self) -> String {
        match self.status {
            100..=399 => "ok".to_owned(),
            status => status.to_string(),
        }
    }

    /// Whether it was refused for who asks, before anything else was looked at.
    fn is_refused_by_role(&self) -> bool {
        let code = self.code.as_deref();
        matches!(code, Some("http.missing_token" | "http.missing_scope"))
    }
}

/// A daemon with everybody in it.
struct World {
    daemon: Daemon,
    issuer: Issuer,
    /// Where the database is, for what no route makes.
    url: String,
    setup_token: String,
    clients: Vec<Client>,
    /// The access tokens of the clients.
    tokens: Vec<String>,
    ids: Vec<String>,
    /// A terminal of the member's.
    terminal: String,
    /// A run of a drill.
    run: String,
    /// Rises with everything that needs a name.
    made: u32,
    /// The refresh token to use next.
    refresh: String,
}

fn email_of(caller: usize) -> String {
    format!("{}@example.org", CALLERS[caller])
}

fn text(document: &Value, member: &str) -> String {
    let text = document[member].as_str();
    text.unwrap_or_else(|| panic!("no `{member}` in {document}"))
        .to_owned()
}

async fn setup_token(daemon: &Daemon) -> String {
    eventually(PATIENCE, async || {
        let told = daemon.stderr().text();
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("setup token: "));
        line.filter(|token| told.contains(&format!("{token}\n")))
            .map(str::to_owned)
            .ok_or("a setup token")
    })
    .await
}

async fn sign_in(daemon: &Daemon, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    let reply = daemon.anonymous().post("/api/v1/auth/login", &body).await;
    reply.expect(200).json()
}

impl World {
    async fn new(database: &SharedDatabase) -> Self {
        let issuer = Issuer::start().await;
        let config = issuer.github_config("hub", "")
            + "[ptys]\nroles = [\"owner\", \"admin\", \"member\"]\n";
        let daemon = daemon().drills().database(database).config(config);
        let daemon = daemon.start().await;
        let setup_token = setup_token(&daemon).await;
        let body =
            json!({ "setup_token": setup_token, "email": email_of(OWNER), "password": PASSWORD });
        let stranger = daemon.anonymous();
        let first = stranger.post("/api/v1/setup", &body).await;
        let owner = daemon.with_token(&text(&first.expect(200).json(), "access_token"));
        for (caller, role) in [
            (1, "viewer"),
            (MEMBER, "member"),
            (3, "member"),
            (4, "admin"),
        ] {
            let body = json!({ "email": email_of(caller), "password": PASSWORD, "role": role });
            owner.post("/api/v1/users", &body).await.expect(201);
        }
        let (mut clients, mut tokens) = (vec![stranger], vec![String::new()]);
        let mut ids = vec![String::new()];
        for caller in 1..CALLERS.len() {
            let signed_in = sign_in(&daemon, &email_of(caller)).await;
            let token = text(&signed_in, "access_token");
            let client = daemon.with_token(&token);
            ids.push(id_of(&client.get("/api/v1/me").await.expect(200).json()));
            clients.push(client);
            tokens.push(token);
        }
        let refresh = sign_in(&daemon, &email_of(MEMBER)).await;
        let terminal = open(&clients[MEMBER], &shell()).await;
        let mut world = Self {
            url: url_of(database, daemon.home()),
            refresh: text(&refresh, "refresh_token"),
            daemon,
            issuer,
            setup_token,
            clients,
            tokens,
            ids,
            terminal,
            run: String::new(),
            made: 0,
        };
        let order = json!({ "target": format!("/{NODE}") });
        let path = "/api/v1/drills/kill-actor";
        let begun = world.daemon.local().post(path, &order).await.expect(202);
        world.run = id_of(&begun.json());
        world.drill_ends(&begun.json()).await;
        world.link().await;
        world
    }

    /// Links an outside identity to the member.
    async fn link(&self) {
        self.issuer
            .log_in(Person::new("99", "elsewhere@example.org"));
        let path = "/api/v1/auth/issuers/hub/link/begin";
        let body = self.returned(&self.clients[MEMBER], path).await;
        let path = "/api/v1/auth/issuers/hub/finish";
        let finished = self.daemon.anonymous().post(path, &body).await;
        finished.expect(200);
    }

    /// What somebody brings back from the issuer who went there.
    async fn returned(&self, client: &Client, path: &str) -> Value {
        let begun = client.post(path, &json!({})).await.expect(200).json();
        let back = self.issuer.visit(&text(&begun, "authorization_url")).await;
        json!({ "state": back.state, "flow": begun["flow"], "code": back.code })
    }

    /// Waits for the end of a run, so that the next one finds everything in order.
    async fn drill_ends(&self, begun: &Value) {
        let path = format!("/api/v1/drills/runs/{}", id_of(begun));
        eventually(PATIENCE, async || {
            let run = self.daemon.local().get(&path).await.expect(200).json();
            let is_done = run["state"] == "done";
            is_done.then_some(()).ok_or(format!("{run:#}"))
        })
        .await;
    }

    fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// Somebody without a password who is there to suffer.
    async fn victim(&mut self) -> String {
        let body = json!({ "email": format!("victim-{}@example.org", self.number()) });
        let made = self.clients[OWNER].post("/api/v1/users", &body).await;
        id_of(&made.expect(201).json()["user"])
    }

    async fn terminal(&self) -> String {
        open(&self.clients[MEMBER], &shell()).await
    }

    async fn token(&self) -> String {
        let body = json!({ "name": "walk" });
        let made = self.clients[MEMBER].post("/api/v1/tokens", &body).await;
        id_of(&made.expect(201).json())
    }

    async fn passkey(&self) -> String {
        let origin = format!("http://localhost:{}", self.daemon.address().port());
        let base = "/api/v1/auth/passkeys/register";
        let member = &self.clients[MEMBER];
        let begun = member.post(&format!("{base}/begin"), &json!({})).await;
        let begun = begun.expect(200).json();
        let made = Authenticator::new(&origin).make(&begun["options"]);
        let body = json!({ "challenge_id": begun["challenge_id"], "credential": made });
        let finished = member.post(&format!("{base}/finish"), &body).await;
        id_of(&finished.expect(201).json())
    }

    async fn invite(&self) -> String {
        let path = "/api/v1/users/invites";
        let made = self.clients[OWNER].post(path, &json!({})).await;
        text(&made.expect(201).json(), "token")
    }

    /// A session of the member's.
    async fn session(&self) -> String {
        let signed_in = sign_in(&self.daemon, &email_of(MEMBER)).await;
        let client = self.daemon.with_token(&text(&signed_in, "access_token"));
        let listed = client.get("/api/v1/auth/sessions").await.expect(200).json();
        let items = listed["items"].as_array().expect("a list");
        let current = items.iter().find(|session| session["is_current"] == true);
        id_of(current.expect("its own session"))
    }

    /// A mail that waits for longer than the walk.
    async fn mail(&mut self) -> String {
        let id = format!("01890000-0000-7000-8000-{:012x}", self.number());
        let key = if self.url.starts_with("sqlite:") {
            format!("X'{}'", id.replace('-', ""))
        } else {
            format!("'{id}'")
        };
        let insert = format!(
            "INSERT INTO mail_queue (id, to_address, subject, body, kind, state, attempts, next_at, not_after, created_at) \
             VALUES ({key}, 'ann@example.org', 'x', 'x', 'test.mail', 'waiting', 0, 4102444800000000, 4102444800000000, 0)"
        );
        assert_eq!(kit::sql(&self.url, &insert).await, 1);
        id
    }

    /// The path of a row with what its words stand for: always something of the member's, or made for this request.
    async fn place(&mut self, row: &Row) -> String {
        let id = match (row.method.as_str(), row.path) {
            ("DELETE", "/api/v1/terminals/{id}") => self.terminal().await,
            (_, path) if path.starts_with("/api/v1/terminals/{id}") => self.terminal.clone(),
            (_, "/api/v1/tokens/{id}") => self.token().await,
            (_, "/api/v1/drills/runs/{id}") => self.run.clone(),
            (_, "/api/v1/mail/{id}/retry") => self.mail().await,
            (_, "/api/v1/auth/sessions/{id}") => self.session().await,
            (_, "/api/v1/auth/passkeys/{id}") => self.passkey().await,
            ("DELETE", path) if path.starts_with("/api/v1/users/{id}") => self.victim().await,
            (_, "/api/v1/users/{id}/password") => self.victim().await,
            _ => self.ids[MEMBER].clone(),
        };
        let name = if row.path.contains("/drills/") {
            "kill-actor"
        } else {
            "hub"
        };
        let path = row.path.replace("{id}", &id).replace("{path}", NODE);
        path.replace("{name}", name).replace("{issuer}", "hub")
    }

    /// What a row's request carries: enough to be done for whoever may.
    async fn body(&mut self, row: &Row) -> Option<Value> {
        let number = self.number();
        let new = format!("new-{number}@example.org");
        let body = match (row.method.as_str(), row.path) {
            ("GET" | "DELETE", _) => return None,
            (_, "/api/v1/drills/{name}") => json!({ "target": format!("/{NODE}") }),
            ("POST", "/api/v1/terminals") => shell(),
            ("PATCH", "/api/v1/terminals/{id}" | "/api/v1/auth/passkeys/{id}") => {
                json!({ "name": "walked" })
            }
            (_, "/api/v1/ws-ticket") => {
                json!({ "path": format!("/api/v1/terminals/{}/attach", self.terminal) })
            }
            (_, "/api/v1/tokens") => json!({ "name": "walk" }),
            (_, "/api/v1/me") | ("PATCH", "/api/v1/users/{id}") => json!({ "name": "Walker" }),
            ("POST", "/api/v1/users") => json!({ "email": new }),
            (_, "/api/v1/users/{id}/password") => json!({ "password": PASSWORD }),
            (_, "/api/v1/setup") => {
                json!({ "setup_token": self.setup_token, "email": new, "password": PASSWORD })
            }
            (_, "/api/v1/auth/register") => {
                json!({ "email": new, "password": PASSWORD, "invite": self.invite().await })
            }
            (_, "/api/v1/auth/login") => {
                json!({ "email": email_of(MEMBER), "password": PASSWORD })
            }
            (_, "/api/v1/auth/refresh") => json!({ "refresh_token": self.refresh }),
            (_, "/api/v1/auth/password/forgot") => json!({ "email": "nobody@example.org" }),
            (_, "/api/v1/auth/password/reset") => {
                json!({ "token": "made-up", "password": PASSWORD })
            }
            (_, "/api/v1/auth/email/verify") => json!({ "token": "made-up" }),
            (_, "/api/v1/auth/email/change") => {
                json!({ "new_email": new, "password": PASSWORD })
            }
            (_, "/api/v1/auth/issuers/{name}/finish") => {
                let path = "/api/v1/auth/issuers/hub/begin";
                self.returned(&self.clients[0], path).await
            }
            (_, "/api/v1/auth/totp/confirm" | "/api/v1/auth/totp/disable") => {
                json!({ "totp_code": "000000" })
            }
            (_, "/api/v1/auth/passkeys/login/finish" | "/api/v1/auth/passkeys/register/finish") => {
                json!({ "challenge_id": "made-up", "credential": {} })
            }
            (_, "/api/v1/auth/recovery-codes") => json!({ "totp_code": "000000" }),
            (_, "/api/v1/auth/password/change") => {
                json!({ "current_password": PASSWORD, "new_password": "short" })
            }
            _ => json!({}),
        };
        Some(body)
    }

    /// Whoever asks; somebody whose session ends by it with a new one.
    async fn client(&self, row: &Row, caller: usize) -> Client {
        if caller > 0 && row.path == "/api/v1/auth/logout" {
            let signed_in = sign_in(&self.daemon, &email_of(caller)).await;
            return self.daemon.with_token(&text(&signed_in, "access_token"));
        }
        self.clients[caller].clone()
    }

    /// Asks for one cell of the table.
    async fn ask(&mut self, row: &Row, caller: usize) -> Answer {
        if row.path.ends_with("/attach") {
            let token = Some(self.tokens[caller].as_str()).filter(|token| !token.is_empty());
            let attached = self
                .daemon
                .try_attach(&self.terminal, None, token, None)
                .await;
            return match attached {
                Ok(terminal) => {
                    terminal.detach().await;
                    Answer::new(101, String::new())
                }
                Err(refused) => Answer::new(refused.status, refused.body),
            };
        }
        let (path, body) = (self.place(row).await, self.body(row).await);
        let client = self.client(row, caller).await;
        let mut request = client.request(row.method.clone(), &path);
        if row.method == Method::PATCH {
            request = request.header("if-match", "*");
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = if row.path.ends_with("/stream") {
            request.begin().await
        } else {
            request.send().await
        };
        let answer = Answer::of(&reply);
        self.note(row, &answer).await;
        answer
    }

    /// What of the member's somebody else sees in an answer who did not ask for it by its id: nobody a terminal but who operates the tree, in
    /// the tree; and nobody but those who look after people who they are.
    fn sees_too_much(&self, row: &Row, caller: usize, answer: &Answer) -> Option<String> {
        if caller == MEMBER || row.method != Method::GET || row.path.contains("{id}") {
            return None;
        }
        let is_administrator = ["admin", "owner"].contains(&CALLERS[caller]);
        let is_tree = row.path.starts_with("/api/v1/status");
        let hidden = [
            Some(self.terminal.clone()).filter(|_| !(is_administrator && is_tree)),
            Some(email_of(MEMBER)).filter(|_| !is_administrator),
            Some(self.ids[MEMBER].clone()).filter(|_| !is_administrator),
        ];
        let mut hidden = hidden.into_iter().flatten();
        hidden.find(|secret| answer.text.contains(secret))
    }

    /// What the next request needs of this one.
    async fn note(&mut self, row: &Row, answer: &Answer) {
        match row.path {
            "/api/v1/auth/refresh" if answer.status == 200 => {
                self.refresh = text(&answer.body, "refresh_token");
            }
            "/api/v1/drills/{name}" if answer.status == 202 => {
                self.drill_ends(&answer.body).await;
            }
            _ => {}
        }
    }
}

/// The operations of a description: by method and path, the roles that are enough.
fn described(document: &Value) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let roles = operation["x-roles"].as_array();
            let roles = roles.unwrap_or_else(|| panic!("no x-roles at {method} {path}"));
            let roles = roles.iter().filter_map(Value::as_str).map(str::to_owned);
            all.insert((method.to_ascii_uppercase(), path.clone()), roles.collect());
        }
    }
    all
}

async fn every_route_answers_whom_it_should(database: SharedDatabase) {
    let mut world = World::new(&database).await;
    let document = world.clients[OWNER].get("/api/openapi.json").await;
    let described = described(&document.expect(200).json());
    let rows = rows();
    let listed: BTreeSet<_> = rows
        .iter()
        .map(|row| (row.method.to_string(), row.path.to_owned()))
        .collect();
    assert_eq!(rows.len(), listed.len(), "a row stands twice");
    let served: BTreeSet<_> = described.keys().cloned().collect();
    let missing: Vec<_> = served.difference(&listed).collect();
    let surplus: Vec<_> = listed.difference(&served).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "routes that nobody thought about: {missing:?}; rows without a route: {surplus:?}"
    );
    let node = format!("/api/v1/status/ptys/terminals/{}", world.terminal);
    for (caller, wanted) in [(1, 404), (3, 404), (4, 200), (OWNER, 200)] {
        world.clients[caller].get(&node).await.expect(wanted);
    }
    let mut wrong = Vec::new();
    for row in &rows {
        let roles = &described[&(row.method.to_string(), row.path.to_owned())];
        for caller in ORDER {
            let answer = world.ask(row, caller).await;
            let (name, wanted) = (CALLERS[caller], row.answers[caller]);
            let told = format!(
                "{} {} as {name}: {} {}",
                row.method,
                row.path,
                answer.status,
                answer.code.as_deref().unwrap_or_default()
            );
            if answer.word() != wanted {
                wrong.push(format!("{told}, not {wanted}"));
            }
            if let Some(seen) = world.sees_too_much(row, caller, &answer) {
                wrong.push(format!("{told}, with {seen}"));
            }
            let role = if name == "other" { "member" } else { name };
            if answer.is_refused_by_role() == roles.contains(role) {
                wrong.push(format!("{told}, where the description says {roles:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.daemon.stop().await;
}

/// A terminal runs programs as the daemon's own user: unless the configuration names more, for owners and administrators alone.
async fn a_terminal_is_for_the_roles_that_are_named(database: SharedDatabase) {
    let daemon = daemon().database(&database).start().await;
    for (role, wanted) in [
        ("owner", None),
        ("admin", None),
        ("member", Some("ptys.role_not_allowed")),
        ("viewer", Some("http.missing_scope")),
    ] {
        let email = format!("{role}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "role": role });
        daemon
            .local()
            .post("/api/v1/users", &body)
            .await
            .expect(201);
        let signed_in = sign_in(&daemon, &email).await;
        let client = daemon.with_token(&text(&signed_in, "access_token"));
        let opened = client.post("/api/v1/terminals", &shell()).await;
        match wanted {
            None => drop(opened.expect(201)),
            Some(code) => assert_eq!(opened.problem(403)["code"], code),
        }
    }
    daemon.stop().await;
}
