//! The declarations: [`section!`](crate::section) for groups of keys, [`choices!`](crate::choices) for words.

/// Declares a section of the configuration: its struct, defaults, documentation, checks and reload tags.
///
/// ```
/// use std::time::Duration;
///
/// ground::section! {
///     /// Terminals.
///     pub struct PtysConfig in "ptys" {
///         /// How many terminals may be open at once.
///         max_terminals: u32 = 64, range 1..=10_000, reload live;
///         /// A terminal that nobody looked at for this long is closed; 0s keeps it for ever.
///         idle_limit: Duration = Duration::ZERO, reload live;
///         /// The shell, when the request names none.
///         shell: Option<String> = None, example r#""/bin/bash""#, reload live;
///     }
/// }
/// assert_eq!(PtysConfig::default().max_terminals, 64);
/// ```
///
/// After the default come, in this order and each optional but the last: `range R` (of the number, the duration, the
/// characters of a string, the entries of a list), `check F` with `fn(&T) -> Result<(), String>`, `each F` (the same for
/// every entry of a list, told at the entry's own place), `example "TOML"` (what
/// the default file shows when the default is unset), and `reload live|subtree|daemon`. Leave out `in "name"` for the
/// group of a map such as `[model_router.providers.NAME]`, and declare the map as `providers: BTreeMap<String, Provider>`.
///
/// Rules over several keys go behind the block: `conflicts F;` with `fn(&Group) -> Vec<Conflict>`, asked only when each key
/// is sound by itself.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $group:ident $(in $section:literal)? {
            $(
                $(#[doc = $key_doc:literal])*
                $key:ident : $type:ty = $default:expr
                    $(, range $range:expr)?
                    $(, check $check:expr)?
                    $(, each $each:expr)?
                    $(, example $example:literal)?
                    , reload $reload:ident;
            )+
        }
        $(conflicts $conflicts:expr;)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        $visibility struct $group {
            $(
                $(#[doc = $key_doc])*
                pub $key: $type,
            )+
        }

        impl ::core::default::Default for $group {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::config::Group for $group {
            const DOC: &'static [&'static str] = &[$($doc),*];

            fn keys() -> ::std::vec::Vec<$crate::config::Key> {
                ::std::vec![$({
                    let default: $type = $default;
                    let key = $crate::config::Key {
                        name: ::core::stringify!($key),
                        doc: ::std::vec![$($key_doc),*],
                        words: ::std::string::String::new(),
                        range: $crate::section!(@range $type $(, $range)?),
                        default: ::core::option::Option::None,
                        example: $crate::section!(@example $($example)?),
                        reload: $crate::section!(@reload $reload),
                        secret: false,
                        members: ::std::vec::Vec::new(),
                    };
                    <$type as $crate::config::Field>::describe(&default, key)
                }),+]
            }

            fn read(reading: &mut $crate::config::Reading<'_>) -> Self {
                let _problems_before = reading.problem_count();
                let group = Self {
                    $($key: <$type as $crate::config::Field>::read(
                        reading,
                        ::core::stringify!($key),
                        $crate::section!(@reload $reload),
                        $default,
                        &|_value: &$type, _limits: &mut $crate::config::Limits| {
                            $(_limits.range::<$type>(_value, &$range);)?
                            $(_limits.check::<$type>(_value, $check);)?
                            $(_limits.each(_value, $each);)?
                        },
                    ),)+
                };
                reading.refuse_unknown(&[$(::core::stringify!($key)),+]);
                $(reading.refuse_conflicts(_problems_before, || ($conflicts)(&group));)?
                group
            }
        }

        $(impl $crate::config::Section for $group {
            const NAME: &'static str = $section;
        })?
    };
    (@range $type:ty, $range:expr) => { ::core::option::Option::Some($crate::config::range_words::<$type>(&$range)) };
    (@range $type:ty) => { ::core::option::Option::None };
    (@example $example:literal) => { ::core::option::Option::Some($example) };
    (@example) => { ::core::option::Option::None };
    (@reload live) => { $crate::config::Reload::Live };
    (@reload subtree) => { $crate::config::Reload::Subtree };
    (@reload daemon) => { $crate::config::Reload::Daemon };
}

/// Declares an enum that is written as one of a few words.
///
/// ```
/// ground::choices! {
///     /// How log lines are written.
///     pub enum LogFormat {
///         /// For people.
///         Text = "text",
///         /// One JSON object a line.
///         Json = "json",
///     }
/// }
/// assert_eq!(LogFormat::Json.as_str(), "json");
/// ```
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[doc = $variant_doc])* $variant,)+
        }

        impl $name {
            /// The word it is written as.
            $visibility fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::Leaf for $name {
            fn words() -> ::std::string::String {
                [$(::core::concat!("\"", $word, "\"")),+].join(" or ")
            }

            fn read(node: &$crate::config::Node, reading: &mut $crate::config::Reading<'_>) -> ::core::option::Option<Self> {
                $crate::config::read_choice(node, reading, &[$(($word, Self::$variant)),+])
            }

            fn render(&self) -> ::std::string::String {
                $crate::config::quote(self.as_str())
            }
        }
    };
}
