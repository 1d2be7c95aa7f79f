//! Passwords that attackers try first. No I/O.
//!
//! Two things know them. `common` has fingerprints of what was found in leaks again and again, more than the 3,000 most common ones that are
//! long enough. And here are a few hundred words written by hand, with rules that cover what people make of such words: digits and signs
//! around them, letters replaced by digits that look alike, a word twice, rows of the keyboard and the alphabet, one group of
//! characters again and again, and dates. The words of this program and of its owner (name, address) count as well.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::common::is_common;

/// What people know of this program: no secret for anybody.
const OWN_WORDS: [&str; 2] = ["mainstay", "changeit"];
/// Rows whose pieces are no secret, read either way.
const ROWS: [&str; 12] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
];
/// Characters that must be left once everything known is taken away.
const MIN_UNKNOWN: usize = 4;
/// Only so much of a password is looked at; a longer one is no guess.
const MAX_CHARS: usize = 64;

/// Words of which alone, or with digits and signs around them, a password is no secret.
const WORDS: &str = "\
password passwort passwd passw0rd motdepasse contrasena wachtwoord senha parola haslo heslo salasana lozinka pass pwd secret geheim \
letmein welcome willkommen bienvenue changeme default admin administrator root toor user guest test tester testing demo sample example \
login logon signin access master superuser sysadmin system server service backup oracle mysql postgres cisco manager operator support \
office temp temporary newpass mypass mypassword yourpassword nopassword hello goodbye iloveyou ilovegod loveyou loveme lovely love \
princess prince queen king kingdom knight angel angels devil demon heaven sunshine sunflower moonlight starlight rainbow flower flowers \
butterfly dragon dragons tiger tigers lion lions eagle eagles falcon panther phoenix monkey chicken turkey donkey horse horses pony \
puppy kitty kitten doggy buster bailey buddy charlie max maggie molly lucky rocky ginger pepper cookie cookies chocolate banana orange \
apple cherry peach strawberry blueberry cheese butter coffee pizza hamburger pickle pumpkin peanut sugar honey sweety sweetheart baby \
babygirl babyboy darling football baseball basketball softball hockey soccer tennis golf golfer rugby cricket racing yankees cowboys \
redsox lakers steelers packers dallas chelsea arsenal liverpool manchester united barcelona madrid juventus bayern dortmund celtic \
rangers ferrari porsche mercedes bmw audi toyota honda yamaha suzuki kawasaki harley mustang corvette camaro chevy chevrolet ford \
jeep nissan mazda volvo batman superman spiderman ironman wolverine pokemon pikachu naruto sasuke goku starwars startrek matrix \
gandalf frodo hobbit harrypotter hermione snoopy mickey minnie donald garfield scooby simpsons sonic mario zelda minecraft fortnite \
roblox warcraft starcraft counter halo doom quake diablo trustno shadow ninja samurai warrior hunter killer assassin slayer sniper \
soldier ranger viper cobra scorpion spider snake thunder lightning storm hurricane tornado winter spring summer autumn fall monday \
tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december \
michael jennifer jessica ashley amanda nicole michelle daniel joshua andrew matthew anthony robert william thomas jordan george \
richard charles joseph steven kevin brian justin brandon tyler austin taylor hannah sarah samantha elizabeth melissa stephanie \
christian christopher alexander nicholas jonathan benjamin samuel victoria vanessa natasha natalie andrea patricia carlos miguel juan \
jose david peter paul martin stefan thorsten sebastian florian tobias markus andreas claudia sabine jasmin alexandra anastasia \
vladimir sergey dmitri natalia tatiana ivan maria anna julia marina sofia laura lisa emma oliver oscar jackson maverick jasmine \
internet computer laptop desktop windows linux ubuntu debian macintosh microsoft google facebook twitter instagram linkedin youtube \
amazon paypal netflix spotify yahoo hotmail gmail iphone android samsung nokia motorola sony nintendo playstation xbox wireless \
router network security hacker hacked exploit freedom liberty america american england london paris berlin germany deutschland france \
italia espana brasil canada australia russia moscow istanbul india pakistan china japan mexico california texas newyork florida chicago \
boston houston phoenix denver seattle school student teacher college university business company money dollar million lottery \
jesus christ jesuschrist god blessed faith church bible prayer amen allah muhammad islam buddha krishna family mother father mommy daddy \
brother sister friend friends forever always together whatever nothing something everything anything fuckyou fuckoff fuckme asshole \
bitch bullshit pussy sexy sexsex bigdick hottie playboy porn pornstar music guitar drummer metallica slipknot nirvana eminem rihanna \
beyonce beatles elvis hiphop rockstar rocknroll dance dancer cowboy cowgirl pirate treasure silver golden gold diamond crystal platinum \
purple yellow green blue black white orange scarlet crimson happy smile smiley laugh crazy awesome fantastic perfect beautiful gorgeous \
blink bond jamesbond casino poker winner champion victory success power energy magic magical wizard merlin mystic fantasy destiny \
galaxy universe planet jupiter saturn mercury apollo zeus hercules achilles spartan trojan titan atlantis pyramid egypt pharaoh \
qwert qwerty qwertz azerty asdf asdfgh asdfasdf zxcv zxcvb qazwsx qweasd qweasdzxc zaqwsx abcabc abcd aaaa iamgod nimda \
monitor keyboard printer mouse tomcat jenkins gitlab docker kubernetes vagrant raspberry arduino database production staging develop \
developer engineer programmer matrix trinity morpheus zion enter exit escape delete control shift space open sesame opensesame";

/// All words, with those of the program.
static KNOWN: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| WORDS.split_whitespace().chain(OWN_WORDS).collect());

/// Why attackers would try this password early; nothing when no rule knows it.
pub(crate) fn reason(password: &str, about: &[&str]) -> Option<&'static str> {
    let lower: Vec<char> = password
        .chars()
        .take(MAX_CHARS + 1)
        .flat_map(char::to_lowercase)
        .collect();
    if lower.is_empty() || lower.len() > MAX_CHARS {
        return None;
    }
    if is_common(&lower.iter().collect::<String>()) {
        return Some("expected a password that is not one of the most common ones");
    }
    if is_repetition(&lower) {
        return Some("expected more than the same characters again and again");
    }
    if is_of_rows(&lower) {
        return Some("expected more than rows of keys, digits or the alphabet");
    }
    if is_digits_alone(&lower) {
        return Some(
            "expected more than a few digits: they are a date or a number that can be tried out",
        );
    }
    let letters: Vec<char> = plain(&lower).chars().collect();
    if letters.len() >= MIN_UNKNOWN && is_of_rows(&letters) {
        return Some("expected more than rows of keys, digits or the alphabet");
    }
    let forms = [
        plain(&lower),
        look_alikes(&lower, 'i'),
        look_alikes(&lower, 'l'),
    ];
    if forms.iter().any(|form| is_known(form)) {
        return Some("expected a password that is not a common one with digits or signs around it");
    }
    let personal = about
        .iter()
        .flat_map(|text| pieces(text))
        .collect::<Vec<_>>();
    if forms.iter().any(|form| is_personal(form, &personal)) {
        return Some("expected more than the own name, address or the name of this program");
    }
    None
}

/// One group of at most four characters, again and again; also cut off in the last round.
fn is_repetition(chars: &[char]) -> bool {
    (1..=4).any(|period| {
        chars.len() > period
            && chars
                .iter()
                .zip(chars.iter().skip(period))
                .all(|(a, b)| a == b)
    })
}

/// Made up of pieces of rows, each of at least three characters.
fn is_of_rows(chars: &[char]) -> bool {
    let mut rest = chars;
    while !rest.is_empty() {
        let longest = (3..=rest.len())
            .rev()
            .find(|length| is_of_a_row(&rest[..*length]));
        match longest {
            Some(length) => rest = &rest[length..],
            None => return false,
        }
    }
    true
}

fn is_of_a_row(piece: &[char]) -> bool {
    let forwards: String = piece.iter().collect();
    let backwards: String = piece.iter().rev().collect();
    ROWS.iter()
        .any(|row| row.contains(&forwards) || row.contains(&backwards))
}

/// Digits, and signs between them: eight of them are a date.
fn is_digits_alone(chars: &[char]) -> bool {
    const MAX_DIGITS: usize = 10;
    let digits = chars.iter().filter(|char| char.is_ascii_digit()).count();
    let others = chars
        .iter()
        .any(|char| !char.is_ascii_digit() && !".-/ :".contains(*char));
    !others && digits <= MAX_DIGITS
}

/// The letters and digits from the first letter to the last.
fn plain(chars: &[char]) -> String {
    let text: String = chars.iter().filter(|char| char.is_alphanumeric()).collect();
    text.trim_matches(|char: char| !char.is_alphabetic())
        .to_owned()
}

/// The same with digits and signs read as the letters they look like; a one is an i or an l.
fn look_alikes(chars: &[char], one: char) -> String {
    // What stands at the end is more often a number than a letter.
    let end = chars
        .iter()
        .rposition(|char| char.is_alphabetic())
        .map_or(0, |at| at + 1);
    let letters = chars.iter().take(end).filter_map(|char| match char {
        '0' => Some('o'),
        '1' | '!' | '|' => Some(one),
        '3' | '€' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' | '+' => Some('t'),
        '8' => Some('b'),
        '9' => Some('g'),
        char => char.is_alphanumeric().then_some(*char),
    });
    letters.collect()
}

fn is_known(form: &str) -> bool {
    let is_word = |text: &str| KNOWN.contains(text);
    let half = form.len() / 2;
    let is_twice = form.is_char_boundary(half) && {
        let (first, second) = form.split_at(half);
        first == second && is_word(first)
    };
    is_word(form) || is_twice || is_plural(form)
}

fn is_plural(form: &str) -> bool {
    form.strip_suffix('s')
        .is_some_and(|word| KNOWN.contains(word))
}

/// An address or a name as a whole, and its words that are long enough to be recognised.
fn pieces(text: &str) -> Vec<String> {
    let whole: Vec<char> = text.to_lowercase().chars().collect();
    let words = text.split(|char: char| !char.is_alphanumeric());
    let words = words.filter(|word| word.chars().count() >= MIN_UNKNOWN);
    // The whole comes first: it would not be found any more once its words are taken away.
    let whole = Some(plain(&whole)).filter(|whole| whole.chars().count() >= MIN_UNKNOWN);
    whole
        .into_iter()
        .chain(words.map(str::to_lowercase))
        .collect()
}

/// Whether next to nothing is left of it without what everybody knows.
fn is_personal(form: &str, personal: &[String]) -> bool {
    let mut left = form.to_owned();
    for word in personal.iter().map(String::as_str).chain(OWN_WORDS) {
        left = left.replace(word, "");
    }
    left.len() < form.len()
        && left.chars().filter(|char| char.is_alphabetic()).count() < MIN_UNKNOWN
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_weak(password: &str) -> bool {
        reason(password, &["ada.lovelace@example.com", "Ada Lovelace"]).is_some()
    }

    #[test]
    fn what_attackers_try_first_is_recognised() {
        for password in [
            "password",
            "Password1",
            "P@ssw0rd",
            "p455w0rd!",
            "passwordpassword",
            "PASSWORD123!",
            "letmein1",
            "welcome2024",
            "iloveyou",
            "12345678",
            "123456789",
            "1234567890",
            "87654321",
            "11111111",
            "00000000",
            "12121212",
            "abcabcabc",
            "abcdefgh",
            "qwertyuiop",
            "qwerty123",
            "1q2w3e4r",
            "1qaz2wsx",
            "asdfghjkl",
            "zxcvbnm1",
            "qwertz123",
            "azertyuiop",
            "aaaaaaaa",
            "asdfasdf",
            "01011990",
            "31.12.1999",
            "2024-01-31",
            "football",
            "superman7",
            "dragon99",
            "trustno1",
            "sunshine",
            "princess1",
            "monkey123",
            "adminadmin",
            "administrator",
            "changeme",
            "mainstay",
            "Mainstay1",
            "mainstay2024!",
            "lovelace",
            "Lovelace1815",
            "ada.lovelace",
            "ada.lovelace@example.com",
            "Ada Lovelace!",
            "example99",
            "m0nk3y12",
            "!!!!!!!!",
            "abcd1234",
            "1234qwer",
            "dragons!",
            "1l0v3y0u",
        ] {
            assert!(is_weak(password), "{password}");
        }
    }

    /// By no word and no rule, only because many have it.
    #[test]
    fn what_many_people_have_is_recognised() {
        for password in ["moonshine", "MoonShine", "babushka", "teamwork"] {
            assert!(is_weak(password), "{password}");
            assert!(!is_known(&password.to_lowercase()), "{password}");
        }
    }

    #[test]
    fn the_own_address_is_no_password() {
        for about in [
            "ada@example.com",
            "7ada@x.example",
            "\u{5c71}\u{7530}\u{592a}\u{90ce}@a.example",
        ] {
            assert!(reason(about, &[about]).is_some(), "{about}");
            assert!(reason(&format!("{about}1"), &[about]).is_some(), "{about}");
        }
    }

    #[test]
    fn what_is_not_guessed_is_left_alone() {
        for password in [
            "correct horse battery staple",
            "tzvqmxkw",
            "my mainstay is rope",
            "lovelace likes looms",
            "dragonfruit salad",
            "29384756102938",
            "x9",
            "wq7Kd1mZ",
            "passwords are a plague",
        ] {
            assert!(!is_weak(password), "{password}");
        }
        assert!(!is_weak(&"p".repeat(MAX_CHARS + 1)));
    }

    /// The words alone, with the decorations that everybody uses, are more than the 3,000 that are asked for.
    #[test]
    fn decorated_words_are_many() {
        let endings = ["1", "12", "123", "1234", "!", "2024", "01", "99"];
        let long = KNOWN
            .iter()
            .flat_map(|word| endings.map(|end| format!("{word}{end}")));
        let long: HashSet<String> = long.filter(|word| word.len() >= 8).collect();
        assert!(long.len() >= 3000, "{}", long.len());
        assert!(long.iter().all(|word| reason(word, &[]).is_some()));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(password in any::<String>(), about in any::<String>()) {
            reason(&password, &[&about]);
        }

        #[test]
        fn a_word_stays_weak_in_any_case_and_with_digits(index in 0_usize..500, digits in "[0-9]{0,4}", upper in any::<bool>()) {
            let words: Vec<&str> = WORDS.split_whitespace().collect();
            let word = words[index % words.len()];
            let word = if upper { word.to_uppercase() } else { word.to_owned() };
            let password = format!("{word}{digits}");
            prop_assert!(reason(&password, &[]).is_some(), "{}", password);
        }

        #[test]
        fn groups_again_and_again_are_weak(group in "[a-z0-9]{1,4}", times in 2_usize..8) {
            prop_assert!(is_weak(&group.repeat(times)));
        }
    }
}
