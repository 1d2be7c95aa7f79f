//! Which build this is. The daemon tells the same in `/info`; the command line compares the two.

use serde_json::json;

use super::{args::VersionArgs, document::json_text, exit::Exit, failure::Failure, screen};

/// The version of this build, like `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// When this build was made (RFC 3339).
pub const BUILT_AT: &str = env!("MAINSTAY_BUILT_AT");

/// The commit that this build was made from; `None` when it was made outside of a repository.
pub const fn commit() -> Option<&'static str> {
    option_env!("MAINSTAY_COMMIT")
}

/// `version`.
pub(crate) fn run(args: &VersionArgs) -> Result<Exit, Failure> {
    let text = if args.json {
        json_text(
            &json!({"name": "mainstay", "version": VERSION, "commit": commit(), "built_at": BUILT_AT}),
        )
    } else {
        format!(
            "mainstay {VERSION}\ncommit {}\nbuilt {BUILT_AT}\n",
            commit().unwrap_or("unknown")
        )
    };
    screen::print(&text)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use ground::Micros;

    use super::*;

    #[test]
    fn the_build_is_known() {
        assert!(
            BUILT_AT.parse::<Micros>().unwrap() > Micros(1_600_000_000_000_000),
            "{BUILT_AT}"
        );
        assert!(commit().is_none_or(|commit| commit.len() >= 7));
    }
}
