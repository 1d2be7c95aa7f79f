//! Every error code that a client can meet, with its status and its meaning, in one readable list.
//!
//! Codes are a promise: clients branch on them and people search for them. The HTTP edge's own codes are defined here;
//! those of the domains are defined beside their errors and only described here, so that the docs page is complete.
//! A test asks that every code of this edge has an entry.

use http::StatusCode;

/// A stable error code of this edge, with what always belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `<domain>.<what>`.
    pub code: &'static str,
    /// The HTTP status it is sent with.
    pub status: u16,
    /// Short title, the same for every occurrence.
    pub title: &'static str,
    /// What it means and what to do, for the docs page.
    pub meaning: &'static str,
}

impl Code {
    const fn new(
        code: &'static str,
        status: u16,
        title: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            code,
            status,
            title,
            meaning,
        }
    }

    /// The status as a type.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

macro_rules! codes {
    ($($name:ident = ($code:literal, $status:literal, $title:literal, $meaning:literal);)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code::new($code, $status, $title, $meaning);)*
        /// The codes of the HTTP edge itself, in order of status.
        pub const EDGE: &[Code] = &[$($name),*];
    };
}

codes! {
    MALFORMED_JSON = ("http.malformed_json", 400, "Malformed JSON",
        "The body is not JSON, or not UTF-8; the error names line and column.");
    BAD_BODY = ("http.bad_body", 400, "Unreadable body",
        "The body ended early or was broken in transit; send it again.");
    BAD_HOST = ("http.bad_host", 400, "Bad Host header",
        "The Host header is missing, repeated or not a host; send exactly one.");
    BAD_REQUEST = ("http.bad_request", 400, "Bad request",
        "The request breaks HTTP's own rules, such as a path that is not UTF-8.");
    BAD_KEY = ("http.bad_idempotency_key", 400, "Bad Idempotency-Key",
        "The Idempotency-Key header is repeated, empty, too long or not visible ASCII.");
    BAD_IF_MATCH = ("http.bad_if_match", 400, "Bad If-Match",
        "The If-Match header is repeated or no `ETag` of this server; send the one of what you looked at, or `*`.");
    BAD_UPGRADE = ("http.bad_upgrade", 400, "Bad WebSocket handshake",
        "This route speaks WebSocket (RFC 6455, HTTP/1.1, version 13); connect with a WebSocket client.");
    UNKNOWN_SUB_PROTOCOL = ("http.unknown_sub_protocol", 400, "Unknown WebSocket sub-protocol",
        "The client offered no sub-protocol that this route speaks; the detail names it.");
    MISSING_TOKEN = ("http.missing_token", 401, "Not signed in",
        "Over TCP every route but /health* and /info needs `Authorization: Bearer mst_…`; make a token with `mainstay token create`.");
    BAD_TICKET = ("http.bad_ticket", 401, "Bad ticket",
        "The ticket was used before, is older than 30 seconds, or is for another path or origin; get another one with POST /api/v1/ws-ticket.");
    COOKIE_NEEDS_ORIGIN = ("http.cookie_needs_origin", 403, "Origin missing",
        "A request that changes something was sent with a cookie and does not say which page sent it; send `Origin`, or use `Authorization`.");
    NOT_FRESH = ("accounts.not_fresh", 403, "Sign in again",
        "This needs a recent sign-in; sign in again and repeat it.");
    SECOND_FACTOR_REQUIRED = ("accounts.second_factor_required", 403, "Second factor required",
        "This server requires a second factor: set up an authenticator app with POST /api/v1/auth/totp/enroll, then sign in again with a code of it.");
    FOREIGN_ORIGIN = ("http.foreign_origin", 403, "Foreign origin",
        "A browser page of another origin asked; add the origin to `http.allowed_origins` if it is yours.");
    NOT_A_USER = ("http.not_a_user", 403, "No user",
        "The route is about the account of the user who asks; the local operator and tokens without a user have none.");
    MISSING_SCOPE = ("http.missing_scope", 403, "Scope missing",
        "The token does not carry the scope that this route needs; the detail names it.");
    UNKNOWN_ROUTE = ("http.unknown_route", 404, "No such route",
        "Nothing is served at this path; /api/docs lists every route.");
    BAD_ID = ("http.bad_id", 404, "No such thing",
        "The id in the path is not a UUID, so nothing can have it.");
    UNKNOWN_NODE = ("status.unknown_node", 404, "No such node",
        "The tree has no node at this path; GET /api/v1/status shows the tree.");
    METHOD_NOT_ALLOWED = ("http.method_not_allowed", 405, "Method not allowed",
        "The path exists, but not with this method; the Allow header lists those that do.");
    NOT_ACCEPTABLE = ("http.not_acceptable", 406, "Not acceptable",
        "The Accept header excludes every form that this route can answer in; the detail names them.");
    BODY_TIMEOUT = ("http.body_timeout", 408, "Body too slow",
        "The body stopped, or came too slowly to arrive within the request's deadline; send it again, faster.");
    NO_SESSION = ("accounts.no_session", 409, "No session",
        "The request was made with a token or over the local socket, so there is no session that it could mean.");
    BODY_TOO_LARGE = ("http.body_too_large", 413, "Body too large",
        "The body is larger than the limit; the detail names it.");
    UNSUPPORTED_MEDIA_TYPE = ("http.unsupported_media_type", 415, "Unsupported media type",
        "Send the body with `Content-Type: application/json`.");
    ENCODED_BODY = ("http.encoded_body", 415, "Encoded body",
        "Bodies are taken as they are: send it without compression and without `Content-Encoding`.");
    UNKNOWN_HOST = ("http.unknown_host", 421, "Misdirected request",
        "The Host header names a host that this server is not; while it listens on loopback only localhost, IP addresses and the hosts of `http.allowed_origins` are served, and where `http.public_hosts` is set only those and localhost.");
    INVALID = ("http.invalid", 422, "Invalid input",
        "The input was read and breaks rules; `errors` lists all of them, each with its JSON pointer.");
    KEY_REUSED = ("http.idempotency_key_reused", 422, "Idempotency-Key reused",
        "The Idempotency-Key was used with another body; a new request needs a new key.");
    UPGRADE_REQUIRED = ("http.upgrade_required", 426, "WebSocket needed",
        "This route speaks WebSocket only; connect with a WebSocket client.");
    IF_MATCH_REQUIRED = ("http.if_match_required", 428, "If-Match needed",
        "A change has to name the version that it is about; send the `ETag` of what you looked at as `If-Match`, or `*`.");
    RATE_LIMITED = ("http.rate_limited", 429, "Too many requests",
        "This address or account has used up its quota; the headers RateLimit-Policy and RateLimit tell it, and after `Retry-After` seconds the next request is served.");
    INTERNAL = ("http.internal", 500, "Internal error",
        "A fault of the server; the log has it under the request id.");
    OVERLOADED = ("http.overloaded", 503, "Overloaded",
        "Too many requests or streams are in flight; try again after `Retry-After` seconds.");
    DRAINING = ("http.draining", 503, "Stopping",
        "The server is stopping and takes no new work; try again after `Retry-After` seconds.");
    DEADLINE = ("http.deadline", 504, "Deadline exceeded",
        "No answer within the request's deadline; the request may have taken effect.");
}

/// A code that a domain answers with: code, status, meaning.
pub type DomainCode = (&'static str, u16, &'static str);

/// The codes of the supervisor and its drills.
pub const OPERATORS: &[DomainCode] = &[
    (
        "dependency.full",
        503,
        "As many calls to something outside are under way as may be; try again after `Retry-After` seconds.",
    ),
    (
        "dependency.open",
        503,
        "Something outside does not answer, so that nobody waits for it; try again after `Retry-After` seconds, and see the status for why.",
    ),
    (
        "dependency.timeout",
        504,
        "Something outside did not answer in time; look whether the request took effect before repeating it.",
    ),
    (
        "drills.budget_low",
        409,
        "The target failed lately; wait until its restart budget has recovered.",
    ),
    (
        "drills.disabled",
        403,
        "Drills are switched off; set `drills.enabled = true` and restart the daemon.",
    ),
    (
        "drills.no_target",
        409,
        "The target is nothing that runs and that this drill can be aimed at; GET /api/v1/drills lists the targets.",
    ),
    (
        "drills.not_well",
        409,
        "Something is wrong at the target already; see its status, and run the drill when it is NORMAL.",
    ),
    (
        "drills.running",
        409,
        "Another drill is running; wait for its end.",
    ),
    (
        "drills.unknown",
        404,
        "There is no such drill; GET /api/v1/drills lists all.",
    ),
    (
        "drills.unknown_run",
        404,
        "There is no such run, or it was too long ago.",
    ),
    (
        "drills.unsuited",
        409,
        "The drill cannot be carried out on what the daemon runs on; the answer says why.",
    ),
    (
        "supervisor.busy",
        503,
        "The part asked has more requests than it can take; try again after `Retry-After` seconds.",
    ),
    (
        "supervisor.deadline",
        504,
        "The part asked did not answer in time.",
    ),
    (
        "supervisor.died",
        503,
        "The part asked was restarted before it answered; look whether the request took effect before repeating it.",
    ),
    (
        "supervisor.disabled",
        409,
        "The node is switched off by configuration; switch it on there and restart.",
    ),
    (
        "supervisor.down",
        503,
        "The part asked is down or restarting; try again after `Retry-After` seconds, and see the status for why.",
    ),
    (
        "supervisor.no_dependency",
        409,
        "The node is no external dependency; the status tells which nodes are.",
    ),
    (
        "supervisor.root",
        409,
        "The whole system is stopped by ending the daemon.",
    ),
    ("supervisor.stopping", 503, "The daemon is stopping."),
    (
        "supervisor.unknown_path",
        404,
        "The tree has no node at this path; GET /api/v1/status shows the tree.",
    ),
];

/// The codes of requests with an `Idempotency-Key`.
pub const KEYS: &[DomainCode] = &[
    (
        "idempotency.answer_withheld",
        409,
        "The request with this key took effect; its answer showed a secret or was too large and was not stored. Look at what it made.",
    ),
    (
        "idempotency.busy",
        503,
        "Too many requests with an Idempotency-Key are under way; nothing was done.",
    ),
    (
        "idempotency.down",
        503,
        "Requests with an Idempotency-Key are not served at the moment; nothing was done.",
    ),
    (
        "idempotency.internal",
        500,
        "A fault of the server; nothing was done, and the log has it under the request id.",
    ),
    (
        "idempotency.not_claimed",
        503,
        "The database did not take the Idempotency-Key in time; nothing was done.",
    ),
    (
        "idempotency.store_lost",
        503,
        "The database is away, so nobody could promise that the request is done only once; nothing was done.",
    ),
    (
        "idempotency.unknown_outcome",
        409,
        "A request with this key was begun, and the daemon ended before its end was known. Look whether it took effect, then use a new key.",
    ),
];

/// The codes of the supervisor and the domains. A test holds them against their sources.
pub fn of_domains() -> impl Iterator<Item = &'static DomainCode> {
    super::CONCERNS.iter().flat_map(|concern| concern.codes)
}

/// The codes of one finding in `errors`, with their meaning.
pub const FINDINGS: &[(&str, &str)] = &[
    (
        "bad_format",
        "the text has not the form asked for, such as a UUID or a time",
    ),
    (
        "duplicate",
        "the name is given twice; which one counts would be a guess",
    ),
    ("missing", "a required field or parameter is not there"),
    (
        "not_one_of",
        "the value is not in the list of allowed values",
    ),
    ("too_large", "the number is above its maximum"),
    ("too_long", "the text or list is longer than allowed"),
    (
        "too_many",
        "one of several fields was asked for, and more are there",
    ),
    (
        "too_many_findings",
        "there are more findings than are listed",
    ),
    ("too_short", "the text or list is shorter than allowed"),
    ("too_small", "the number is below its minimum"),
    (
        "unknown_field",
        "there is no field or parameter of this name",
    ),
    (
        "wrong_code",
        "the code is wrong, of another time, or was used before",
    ),
    (
        "wrong_type",
        "the value is of another JSON type than asked for",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_well_formed() {
        let mut seen = HashSet::new();
        for code in EDGE {
            assert!(seen.insert(code.code), "{} is listed twice", code.code);
            let (domain, what) = code.code.split_once('.').expect("a dot");
            assert!(!domain.is_empty() && !what.is_empty());
            assert!(StatusCode::from_u16(code.status).is_ok());
        }
        assert!(EDGE.is_sorted_by_key(|code| code.status));
        assert!(
            of_domains().all(|(code, ..)| seen.insert(code)),
            "a code is listed twice"
        );
        let sorted = |concern: &super::super::concern::Concern| concern.codes.is_sorted();
        assert!(
            crate::http::CONCERNS.iter().all(sorted),
            "in order of their names"
        );
    }

    /// Wherever an error of ours says its code, the list has it, and the list has no others.
    #[test]
    fn every_code_of_the_domains_is_described() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut told = HashSet::new();
        for file in sources() {
            let source = std::fs::read_to_string(root.join(&file)).expect("a source");
            let says = source.split("fn code(&self)").skip(1);
            let says = says.filter_map(|rest| rest.split("fn outside").next());
            let literals = says.flat_map(|code| code.split('"').skip(1).step_by(2));
            told.extend(literals.filter(|text| is_code(text)).map(str::to_owned));
        }
        let described: HashSet<String> =
            of_domains().map(|(code, ..)| (*code).to_owned()).collect();
        assert_eq!(told, described);
    }

    /// Where codes are defined: the errors of the supervisor, of each domain that answers requests, and of drills.
    fn sources() -> Vec<String> {
        let others = [
            "supervisor/src/ask_error.rs",
            "supervisor/src/dependency/fault.rs",
            "supervisor/src/system.rs",
            "edges/src/drills/error.rs",
        ];
        let actors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../actors");
        let domains = std::fs::read_dir(actors).expect("the domains").flatten();
        domains
            .map(|domain| domain.file_name().to_string_lossy().into_owned())
            // Their errors reach operators through the tree, never a client.
            .filter(|domain| !["ground", "store"].contains(&domain.as_str()))
            .flat_map(|domain| errors_below(&format!("actors/{domain}/src")))
            .chain(others.map(str::to_owned))
            .collect()
    }

    /// The files of errors in a folder and in those one below it: a part of a domain has its own.
    fn errors_below(folder: &str) -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let entries = |folder: &str| std::fs::read_dir(root.join(folder)).expect("a folder");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in entries(folder).flatten() {
            let is_folder = entry.path().is_dir();
            let path = format!("{folder}/{}", name(entry));
            if is_folder {
                let inside = entries(&path).flatten().map(name);
                found.extend(inside.map(|file| format!("{path}/{file}")));
            } else {
                found.push(path);
            }
        }
        found.retain(|path| path.ends_with("error.rs"));
        found
    }

    fn is_code(text: &str) -> bool {
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        text.split_once('.')
            .is_some_and(|(domain, what)| is_word(domain) && is_word(what))
    }
}
