//! What a token must be like: a named case for every known attack, under RS256 and ES256.
//!
//! The demands come from RFC 7515 (sections 2, 4, 4.1.11, 7.1, appendix E), RFC 7517 (4.2 to 4.5, 5),
//! RFC 7518 (3.3, 3.4, 6.2, 6.3), RFC 7519 (3, 4, 4.1.1 to 4.1.7, 5.2, 6.1, 7.2), RFC 7797, and RFC
//! 8725 (3.1, 3.2, 3.7 to 3.12).

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::hmac;
use descope_magiclink::session::{Claim, SessionError, SessionValidatorBuilder, TokenProblem};
use descope_magiclink::{Clock as _, ManualClock, RefreshToken, SessionToken};
use descope_magiclink::{Session, SessionValidator};
use serde_json::{Value, json};

use super::signing::{
    Key, PROJECT, Pair, USER, b64, jwks, key_set, merged, refresh_claims, seconds, session_claims,
    unb64,
};

/// A header that was good once is not looked at again, and decides nothing about the rest of a token.
#[test]
fn a_header_seen_before_makes_no_other_token_good() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let [rsa, ec] = fixture.keys();
    for _ in 0..2 {
        for (key, other) in [(rsa, ec), (ec, rsa)] {
            let good = key.sign(&fixture.claims());
            for _ in 0..2 {
                validator.validate_cached(&good.as_str().into()).unwrap();
            }
            let (_, rest) = good.split_once('.').unwrap();
            let (header, _) = other
                .sign(&fixture.claims())
                .split_once('.')
                .map(own)
                .unwrap();
            let mixed = format!("{header}.{rest}");
            validator
                .validate_cached(&mixed.as_str().into())
                .unwrap_err();
            let head = good.split_once('.').unwrap().0;
            let forged = format!("{head}.{}.{}", b64("{}"), b64("signature"));
            let found = validator.validate_cached(&forged.as_str().into());
            assert!(matches!(
                found,
                Err(SessionError::Token(TokenProblem::InvalidSignature))
            ));
        }
    }
    // A key that is gone is gone, whatever was remembered of its tokens.
    let rotated = SessionValidator::builder(PROJECT).key_set(key_set(&[ec]));
    let rotated = rotated.build().unwrap();
    rotated
        .validate_cached(&ec.sign(&fixture.claims()).as_str().into())
        .unwrap();
    let found = rotated.validate_cached(&rsa.sign(&fixture.claims()).as_str().into());
    assert!(matches!(
        found,
        Err(SessionError::Token(TokenProblem::UnknownKey))
    ));
}

fn own((header, rest): (&str, &str)) -> (String, String) {
    (header.to_owned(), rest.to_owned())
}

/// The order of the group of P-256.
const P256_ORDER: &str = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";

/// A project with a key of each kind, and a clock that stands still.
struct Fixture {
    rsa: Key,
    ec: Key,
    clock: std::sync::Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            rsa: Key::rsa("rsa-key"),
            ec: Key::p256("ec-key"),
            clock: std::sync::Arc::new(ManualClock::new()),
        }
    }

    fn builder(&self) -> SessionValidatorBuilder {
        SessionValidator::builder(PROJECT)
            .key_set(key_set(&[&self.rsa, &self.ec]))
            .clock(std::sync::Arc::clone(&self.clock))
    }

    fn validator(&self) -> SessionValidator {
        self.builder().build().unwrap()
    }

    fn keys(&self) -> [&Key; 2] {
        [&self.rsa, &self.ec]
    }

    fn claims(&self) -> Value {
        session_claims(self.clock.now())
    }

    fn now(&self) -> i64 {
        seconds(self.clock.now())
    }

    fn with(&self, change: Value) -> Value {
        merged(self.claims(), change)
    }
}

fn validate(validator: &SessionValidator, token: &str) -> Result<Session, SessionError> {
    validator.validate_cached(&SessionToken::new(token))
}

fn problem(validator: &SessionValidator, token: &str) -> Option<TokenProblem> {
    match validate(validator, token) {
        Ok(_) => None,
        Err(error) => Some(error.token_problem().expect("a verdict on the token")),
    }
}

/// The header of a key's tokens with changes.
fn header(key: &Key, change: Value) -> Value {
    merged(key.header(), change)
}

/// One row of the table: what is wrong, the token, the verdict. `None`: the token is good.
type Case = (String, String, Option<TokenProblem>);

fn run(validator: &SessionValidator, cases: Vec<Case>) {
    let mut names = BTreeSet::new();
    for (name, token, expected) in cases {
        assert!(names.insert(name.clone()), "two cases are called {name}");
        assert_eq!(problem(validator, &token), expected, "{name}");
    }
}

#[test]
fn good_tokens_pass() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    for key in fixture.keys() {
        let session = validate(&validator, &key.sign(&fixture.claims())).unwrap();
        assert_eq!(session.user_id(), USER);
        assert_eq!(session.project_id(), PROJECT);
        assert_eq!(validator.project_id(), PROJECT);
        assert_eq!(validator.session_cookie_name(), "DS");
        assert_eq!(validator.refresh_cookie_name(), "DSR");
        let same = header(key, json!({"typ": null}));
        assert!(validate(&validator, &key.sign_with_header(&same, &fixture.claims())).is_ok());
    }
}

#[test]
fn headers() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let mut cases: Vec<Case> = Vec::new();
    for key in fixture.keys() {
        let alg = key.alg();
        let mut case = |name: &str, change: Value, expected: Option<TokenProblem>| {
            let token = key.sign_with_header(&header(key, change), &fixture.claims());
            cases.push((format!("{alg}: {name}"), token, expected));
        };
        for none in ["none", "None", "NONE", "nOnE", ""] {
            case(
                &format!("alg {none:?}"),
                json!({"alg": none}),
                Some(TokenProblem::UnsupportedAlgorithm),
            );
        }
        for other in [
            "HS256", "HS512", "PS256", "RS384", "RS512", "ES384", "ES512", "EdDSA", "rs256",
            "es256",
        ] {
            case(
                &format!("alg {other}"),
                json!({"alg": other}),
                Some(TokenProblem::UnsupportedAlgorithm),
            );
        }
        let other_kind = if alg == "RS256" { "ES256" } else { "RS256" };
        case(
            "alg of another kind of key",
            json!({"alg": other_kind}),
            Some(TokenProblem::UnsupportedAlgorithm),
        );
        case(
            "no alg",
            json!({"alg": null}),
            Some(TokenProblem::UnsupportedAlgorithm),
        );
        case(
            "alg a list",
            json!({"alg": [alg]}),
            Some(TokenProblem::UnsupportedAlgorithm),
        );
        for (name, value) in [
            ("crit empty", json!([])),
            ("crit b64", json!(["b64"])),
            ("crit unknown", json!(["http://example.invalid/UNDEFINED"])),
            ("crit exp", json!(["exp"])),
            ("crit a text", json!("exp")),
            ("crit false", json!(false)),
        ] {
            case(
                name,
                json!({ "crit": value }),
                Some(TokenProblem::UnsupportedCritical),
            );
        }
        case(
            "b64 false",
            json!({"b64": false}),
            Some(TokenProblem::UnsupportedCritical),
        );
        case(
            "b64 true",
            json!({"b64": true}),
            Some(TokenProblem::UnsupportedCritical),
        );
        for nested in ["JWT", "jwt", "application/jwt"] {
            case(
                &format!("cty {nested}"),
                json!({"cty": nested}),
                Some(TokenProblem::Nested),
            );
        }
        case("cty of something else", json!({"cty": "json"}), None);
        case(
            "no kid",
            json!({"kid": null}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid empty",
            json!({"kid": ""}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid a number",
            json!({"kid": 1}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid huge",
            json!({"kid": "k".repeat(257)}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid with a control character",
            json!({"kid": "a\nb"}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid with a C1 control character",
            json!({"kid": "a\u{85}b"}),
            Some(TokenProblem::MissingKeyId),
        );
        case(
            "kid unknown",
            json!({"kid": "other"}),
            Some(TokenProblem::UnknownKey),
        );
        case(
            "kid a path",
            json!({"kid": "../../etc/passwd"}),
            Some(TokenProblem::UnknownKey),
        );
        case("no typ", json!({"typ": null}), None);
        for typ in ["JWT", "jwt", "Jwt", "application/jwt", "Application/JWT"] {
            case(&format!("typ {typ}"), json!({"typ": typ}), None);
        }
        for typ in [
            json!("at+jwt"),
            json!("dpop+jwt"),
            json!("logout+jwt"),
            json!("application/at+jwt"),
            json!("text/jwt"),
            json!("octet-streamJWT"),
            json!("JWT "),
            json!(""),
            json!(7),
            json!(["JWT"]),
            json!({}),
        ] {
            case(
                &format!("typ {typ}"),
                json!({"typ": typ}),
                Some(TokenProblem::UnsupportedType),
            );
        }
        // What would bring another key along is not looked at, so a token of the right key passes.
        let bystander = Key::rsa("bystander");
        case(
            "jwk beside the right key",
            json!({"jwk": bystander.jwk()}),
            None,
        );
        case(
            "jku beside the right key",
            json!({"jku": "https://evil.example/keys"}),
            None,
        );
        case(
            "x5u beside the right key",
            json!({"x5u": "https://evil.example/cert"}),
            None,
        );
        case("x5c beside the right key", json!({"x5c": ["AAAA"]}), None);
    }
    run(&validator, cases);
}

#[test]
fn keys_from_the_token_are_never_used() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    for (attacker, owner) in [
        (Key::rsa("rsa-key"), &fixture.rsa),
        (Key::p256("ec-key"), &fixture.ec),
    ] {
        let extra = json!({
            "jwk": attacker.jwk(), "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/cert", "x5c": ["AAAA"],
        });
        let token = attacker.sign_with_header(&header(owner, extra.clone()), &fixture.claims());
        assert_eq!(
            problem(&validator, &token),
            Some(TokenProblem::InvalidSignature)
        );
        let unnamed = header(owner, merged(extra, json!({"kid": "of-the-attacker"})));
        let token = attacker.sign_with_header(&unnamed, &fixture.claims());
        assert_eq!(problem(&validator, &token), Some(TokenProblem::UnknownKey));
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    for key in fixture.keys() {
        let jwk = key.jwk();
        let secrets = [
            jwk.to_string().into_bytes(),
            key_set(&[key]).into_bytes(),
            unb64(jwk["n"].as_str().or(jwk["x"].as_str()).unwrap()),
        ];
        for secret in secrets {
            let header = header(key, json!({"alg": "HS256"}));
            let input = format!(
                "{}.{}",
                b64(header.to_string()),
                b64(fixture.claims().to_string())
            );
            let tag = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, &secret),
                input.as_bytes(),
            );
            let token = format!("{input}.{}", b64(tag.as_ref()));
            assert_eq!(
                problem(&validator, &token),
                Some(TokenProblem::UnsupportedAlgorithm)
            );
        }
    }
}

#[test]
fn examples_of_the_rfcs_that_must_fail() {
    let validator = Fixture::new().validator();
    for (name, token, expected) in [
        (
            "RFC 7515 A.5, unsecured",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
            TokenProblem::UnsupportedAlgorithm,
        ),
        (
            "RFC 7515 E, an unknown critical member",
            "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.",
            TokenProblem::UnsupportedCritical,
        ),
        (
            "RFC 7515 A.1, HMAC",
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            TokenProblem::UnsupportedAlgorithm,
        ),
        (
            "RFC 7515 A.2, without a key's name",
            "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
            TokenProblem::MissingKeyId,
        ),
        (
            "RFC 7797 4.1, payload not encoded",
            "eyJhbGciOiJSUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..AAAA",
            TokenProblem::UnsupportedCritical,
        ),
    ] {
        assert_eq!(problem(&validator, token), Some(expected), "{name}");
    }
}

#[test]
fn shapes() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let mut cases: Vec<Case> = Vec::new();
    for key in fixture.keys() {
        let token = key.sign(&fixture.claims());
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts[..] else {
            panic!("three parts")
        };
        let mut case = |name: &str, token: String, expected: TokenProblem| {
            cases.push((format!("{}: {name}", key.alg()), token, Some(expected)));
        };
        let malformed = TokenProblem::Malformed;
        case("one part", head.to_owned(), malformed);
        case("two parts", format!("{head}.{claims}"), malformed);
        case("four parts", format!("{token}.{signature}"), malformed);
        case(
            "five parts",
            format!("{head}.{claims}.{head}.{claims}.{signature}"),
            TokenProblem::Encrypted,
        );
        case("six parts", format!("{token}.{token}"), malformed);
        case("only dots", "..".to_owned(), malformed);
        case(
            "only dots, five parts",
            "....".to_owned(),
            TokenProblem::Encrypted,
        );
        case("no header", format!(".{claims}.{signature}"), malformed);
        case(
            "no claims",
            format!("{head}..{signature}"),
            TokenProblem::InvalidSignature,
        );
        case(
            "no signature",
            format!("{head}.{claims}."),
            TokenProblem::InvalidSignature,
        );
        let general =
            json!({"payload": claims, "signatures": [{"protected": head, "signature": signature}]});
        case("JSON serialization", general.to_string(), malformed);
        let flattened = json!({"payload": claims, "protected": head, "signature": signature});
        case(
            "flattened JSON serialization",
            flattened.to_string(),
            malformed,
        );
        case("space before", format!(" {token}"), malformed);
        case("space after", format!("{token} "), malformed);
        case("line end after", format!("{token}\n"), malformed);
        case("NUL after", format!("{token}\0"), malformed);
        case("scheme before", format!("Bearer {token}"), malformed);
        case(
            "letters of another script",
            "\u{e9}.\u{4e2d}.\u{1f600}".to_owned(),
            malformed,
        );
        case("long", "a".repeat(16 * 1024 + 1), TokenProblem::TooLarge);
        case(
            "10 MB",
            format!("{head}.{}.{signature}", "A".repeat(10_000_000)),
            TokenProblem::TooLarge,
        );
        case(
            "10 MB of dots",
            ".".repeat(10_000_000),
            TokenProblem::TooLarge,
        );
        case(
            "header of 5 KB",
            key.sign_texts(
                header(key, json!({"x": "y".repeat(5000)})).to_string(),
                "{}",
            ),
            malformed,
        );
        for (n, part) in [("header", 0), ("claims", 1), ("signature", 2)] {
            for (kind, change) in non_canonical(parts[part]) {
                let mut changed: Vec<&str> = parts.clone();
                changed[part] = &change;
                // A change of what is signed is found by the signature, unless it is found before.
                let expected = if n == "claims" {
                    TokenProblem::InvalidSignature
                } else {
                    malformed
                };
                case(&format!("{n}: {kind}"), changed.join("."), expected);
            }
        }
        // The same changes, but signed as they are: now only strict decoding finds them.
        for (kind, change) in non_canonical(claims) {
            case(
                &format!("claims signed with {kind}"),
                key.sign_parts(head, &change),
                malformed,
            );
        }
        for (kind, change) in non_canonical(head) {
            case(
                &format!("header signed with {kind}"),
                key.sign_parts(&change, claims),
                malformed,
            );
        }
    }
    run(&validator, cases);
    assert!(matches!(
        validate(&validator, ""),
        Err(SessionError::Missing)
    ));
}

/// Texts that a lenient base64 decoder takes for the given one, or nearly.
fn non_canonical(part: &str) -> Vec<(&'static str, String)> {
    let spare_bits = || {
        // The last letter of such a text has bits that stand for nothing.
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, last) = part.split_at(part.len() - 1);
        let value = LETTERS
            .iter()
            .position(|letter| [*letter] == last.as_bytes())
            .unwrap();
        format!("{rest}{}", char::from(LETTERS[value ^ 1]))
    };
    let mut changes = vec![
        ("padding", format!("{part}=")),
        ("double padding", format!("{part}==")),
        ("a space inside", format!("{} {}", &part[..4], &part[4..])),
        (
            "a line end inside",
            format!("{}\r\n{}", &part[..4], &part[4..]),
        ),
        ("a plus", format!("{}+", &part[..part.len() - 1])),
        ("a slash", format!("{}/", &part[..part.len() - 1])),
        ("a percent", format!("{}%", &part[..part.len() - 1])),
        ("a NUL", format!("{}\0", &part[..part.len() - 1])),
        (
            "one letter too many",
            format!("{part}{}", "A".repeat((5 - part.len() % 4) % 4)),
        ),
    ];
    if !part.len().is_multiple_of(4) {
        changes.push(("spare bits set", spare_bits()));
    }
    changes
}

#[test]
fn json_must_be_strict() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let now = fixture.now();
    let mut cases: Vec<Case> = Vec::new();
    for key in fixture.keys() {
        let (alg, kid) = (key.alg(), &key.kid);
        let good_header = key.header().to_string();
        let good_claims = fixture.claims().to_string();
        let headers = [
            (
                "header: alg twice",
                format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}"}}"#),
            ),
            (
                "header: alg twice, once escaped",
                format!(r#"{{"alg":"{alg}","kid":"{kid}","\u0061lg":"{alg}"}}"#),
            ),
            (
                "header: kid twice",
                format!(r#"{{"alg":"{alg}","kid":"{kid}","kid":"{kid}"}}"#),
            ),
            (
                "header: an unknown member twice",
                format!(r#"{{"alg":"{alg}","kid":"{kid}","x":1,"x":1}}"#),
            ),
            (
                "header: a member twice further in",
                format!(r#"{{"alg":"{alg}","kid":"{kid}","x":{{"y":[{{"z":1,"z":2}}]}}}}"#),
            ),
            ("header: not JSON", "alg".to_owned()),
            ("header: empty", String::new()),
            ("header: null", "null".to_owned()),
            ("header: a list", format!("[{good_header}]")),
            (
                "header: two documents",
                format!("{good_header}{good_header}"),
            ),
            (
                "header: a byte order mark",
                format!("\u{feff}{good_header}"),
            ),
            (
                "header: nested deeply",
                format!(
                    r#"{{"alg":"{alg}","kid":"{kid}","x":{}{}}}"#,
                    "[".repeat(1000),
                    "]".repeat(1000)
                ),
            ),
            (
                "header: cut off",
                good_header[..good_header.len() - 1].to_owned(),
            ),
        ];
        for (name, text) in headers {
            let token = key.sign_texts(text, &good_claims);
            cases.push((
                format!("{alg}: {name}"),
                token,
                Some(TokenProblem::Malformed),
            ));
        }
        let claims = [
            ("exp twice", format!(r#"{{"exp":1,{}"#, &good_claims[1..])),
            (
                "sub twice, once escaped",
                format!(r#"{{"s\u0075b":"x",{}"#, &good_claims[1..]),
            ),
            (
                "a custom claim twice",
                format!(r#"{{"x":1,"x":2,{}"#, &good_claims[1..]),
            ),
            (
                "a permission list twice in a tenant",
                format!(
                    r#"{{"tenants":{{"t":{{"permissions":[],"permissions":["all"]}}}},{}"#,
                    &good_claims[1..]
                ),
            ),
            (
                "a member twice deep inside",
                format!(r#"{{"x":[[{{"y":{{"z":0,"z":0}}}}]],{}"#, &good_claims[1..]),
            ),
            ("not JSON", "claims".to_owned()),
            ("empty", String::new()),
            ("null", "null".to_owned()),
            ("a number", "1".to_owned()),
            ("a text", r#""{}""#.to_owned()),
            ("a list", format!("[{good_claims}]")),
            ("two documents", format!("{good_claims} {good_claims}")),
            ("a byte order mark", format!("\u{feff}{good_claims}")),
            (
                "a trailing comma",
                format!("{},}}", &good_claims[..good_claims.len() - 1]),
            ),
            ("a comment", format!("/**/{good_claims}")),
            (
                "nested deeply",
                format!(
                    r#"{{"x":{}{},{}"#,
                    "[".repeat(4000),
                    "]".repeat(4000),
                    &good_claims[1..]
                ),
            ),
            (
                "nested deeply in objects",
                format!(
                    r#"{{"x":{}1{},{}"#,
                    r#"{"a":"#.repeat(1500),
                    "}".repeat(1500),
                    &good_claims[1..]
                ),
            ),
            (
                "half a character",
                format!(r#"{{"x":"\ud800",{}"#, &good_claims[1..]),
            ),
            (
                "exp beyond any float",
                format!(r#"{{"iss":"{PROJECT}","sub":"{USER}","drn":"DS","exp":1e400}}"#),
            ),
            (
                "exp no number",
                format!(r#"{{"iss":"{PROJECT}","sub":"{USER}","drn":"DS","exp":NaN}}"#),
            ),
            (
                "exp with a leading zero",
                format!(
                    r#"{{"iss":"{PROJECT}","sub":"{USER}","drn":"DS","exp":0{}}}"#,
                    now + 600
                ),
            ),
        ];
        for (name, text) in claims {
            let token = key.sign_texts(&good_header, text);
            cases.push((
                format!("{alg}: claims: {name}"),
                token,
                Some(TokenProblem::Malformed),
            ));
        }
        for (name, bytes) in [
            ("not UTF-8", b"{\"x\":\"\xff\xfe\"}".to_vec()),
            ("overlong UTF-8", b"{\"x\":\"\xc0\xaf\"}".to_vec()),
            ("UTF-16", b"{\0}\0".to_vec()),
        ] {
            cases.push((
                format!("{alg}: claims: {name}"),
                key.sign_texts(&good_header, &bytes),
                Some(TokenProblem::Malformed),
            ));
            cases.push((
                format!("{alg}: header: {name}"),
                key.sign_texts(&bytes, &good_claims),
                Some(TokenProblem::Malformed),
            ));
        }
        let spaced = good_claims.replace(',', " ,\r\n\t");
        cases.push((
            format!("{alg}: claims: space between members is fine"),
            key.sign_texts(&good_header, spaced),
            None,
        ));
    }
    run(&validator, cases);
}

#[test]
fn times() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let now = fixture.now();
    let bad = |claim| Some(TokenProblem::InvalidClaim(claim));
    let mut cases: Vec<Case> = Vec::new();
    for key in fixture.keys() {
        let mut case = |name: String, change: Value, expected: Option<TokenProblem>| {
            cases.push((
                format!("{}: {name}", key.alg()),
                key.sign(&fixture.with(change)),
                expected,
            ));
        };
        case("no exp".into(), json!({"exp": null}), bad(Claim::Expiry));
        for wrong in [
            json!((now + 600).to_string()),
            json!("NaN"),
            json!(true),
            json!([now + 600]),
            json!({"exp": now + 600}),
            json!((now + 600) as f64 + 0.5),
            json!(1e300),
            json!(-1),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(253_402_300_800_i64),
        ] {
            case(
                format!("exp {wrong}"),
                json!({"exp": wrong}),
                bad(Claim::Expiry),
            );
            case(
                format!("nbf {wrong}"),
                json!({"nbf": wrong}),
                bad(Claim::NotBefore),
            );
            case(
                format!("iat {wrong}"),
                json!({"iat": wrong}),
                bad(Claim::IssuedAt),
            );
        }
        case(
            "exp 0".into(),
            json!({"exp": 0}),
            Some(TokenProblem::Expired),
        );
        case(
            "exp long past".into(),
            json!({"exp": now - 600}),
            Some(TokenProblem::Expired),
        );
        case(
            "exp 5 s past".into(),
            json!({"exp": now - 5}),
            Some(TokenProblem::Expired),
        );
        case(
            "exp 4 s past, within the leeway".into(),
            json!({"exp": now - 4}),
            None,
        );
        case(
            "exp now, within the leeway".into(),
            json!({"exp": now}),
            None,
        );
        case(
            "exp in the year 9999".into(),
            json!({"exp": 253_402_300_799_i64}),
            None,
        );
        case(
            "nbf 6 s ahead".into(),
            json!({"nbf": now + 6}),
            Some(TokenProblem::NotYetValid),
        );
        case(
            "nbf 5 s ahead, within the leeway".into(),
            json!({"nbf": now + 5}),
            None,
        );
        case("nbf past".into(), json!({"nbf": now - 600}), None);
        case(
            "iat 61 s ahead".into(),
            json!({"iat": now + 61}),
            Some(TokenProblem::NotYetValid),
        );
        case("iat 60 s ahead".into(), json!({"iat": now + 60}), None);
        case("no iat".into(), json!({"iat": null}), None);
    }
    // `merged` takes null for "remove", so an explicit null is made by hand.
    for (name, expected) in [("nbf", None), ("iat", None), ("exp", bad(Claim::Expiry))] {
        let mut claims = fixture.claims();
        claims[name] = Value::Null;
        cases.push((format!("{name} null"), fixture.rsa.sign(&claims), expected));
    }
    run(&validator, cases);
}

#[test]
fn the_leeway_is_settable_and_capped() {
    let fixture = Fixture::new();
    let build = |leeway| {
        fixture
            .builder()
            .leeway(Duration::from_secs(leeway))
            .build()
    };
    let late = fixture
        .rsa
        .sign(&fixture.with(json!({"exp": fixture.now() - 30})));
    assert_eq!(
        problem(&build(0).unwrap(), &late),
        Some(TokenProblem::Expired)
    );
    assert_eq!(
        problem(&build(30).unwrap(), &late),
        Some(TokenProblem::Expired)
    );
    assert_eq!(problem(&build(31).unwrap(), &late), None);
    assert_eq!(problem(&build(60).unwrap(), &late), None);
    let text = build(61).unwrap_err().to_string();
    assert!(text.contains("leeway") && text.contains("60"), "{text}");
    let exact = fixture
        .rsa
        .sign(&fixture.with(json!({"exp": fixture.now()})));
    assert_eq!(
        problem(&build(0).unwrap(), &exact),
        Some(TokenProblem::Expired)
    );
}

#[test]
fn a_clock_before_1970_is_as_far_off_as_it_says() {
    let fixture = Fixture::new();
    let hour = Duration::from_secs(3600);
    let clock = ManualClock::at(std::time::UNIX_EPOCH - hour);
    let validator = fixture.builder().clock(std::sync::Arc::new(clock)).build();
    let token = |nbf: Value| {
        let claims = json!({"iat": null, "nbf": nbf, "exp": 1800});
        fixture.ec.sign(&fixture.with(claims))
    };
    let validator = validator.unwrap();
    assert_eq!(problem(&validator, &token(Value::Null)), None);
    let early = problem(&validator, &token(json!(0)));
    assert_eq!(early, Some(TokenProblem::NotYetValid));
}

#[test]
fn a_session_expires_as_the_clock_goes_on() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let token = fixture.rsa.sign(&fixture.claims());
    fixture.clock.advance(Duration::from_secs(604));
    assert_eq!(problem(&validator, &token), None);
    fixture.clock.advance(Duration::from_secs(1));
    let error = validate(&validator, &token).unwrap_err();
    assert!(error.is_expired() && !error.is_unavailable());
}

#[test]
fn issuers() {
    let fixture = Fixture::new();
    let validator = fixture
        .builder()
        .base_url("https://auth.example.com:8443/descope")
        .issuer("https://old.example.com/realm?x=1")
        .build()
        .unwrap();
    let wrong = Some(TokenProblem::WrongIssuer);
    let mut cases: Vec<Case> = Vec::new();
    let key = &fixture.ec;
    let mut case = |issuer: Value, expected: Option<TokenProblem>| {
        let mut claims = fixture.claims();
        claims["iss"] = issuer.clone();
        cases.push((format!("iss {issuer}"), key.sign(&claims), expected));
    };
    for good in [
        PROJECT.to_owned(),
        format!("https://api.descope.com/{PROJECT}"),
        format!("https://api.descope.com/v1/apps/{PROJECT}"),
        format!("https://api.descope.com/{PROJECT}/tenant-1"),
        format!("https://api.descope.com/v1/apps/agentic/{PROJECT}/MS2abc"),
        format!("https://auth.example.com:8443/{PROJECT}"),
        "https://old.example.com/realm?x=1".to_owned(),
    ] {
        case(json!(good), None);
    }
    for bad in [
        String::new(),
        "P2other".to_owned(),
        PROJECT.to_lowercase(),
        format!("{PROJECT} "),
        format!(" {PROJECT}"),
        format!("{PROJECT}\0"),
        format!("{PROJECT}x"),
        PROJECT[..27].to_owned(),
        format!("/{PROJECT}"),
        format!("x/{PROJECT}"),
        format!("//api.descope.com/{PROJECT}"),
        format!("http://api.descope.com/{PROJECT}"),
        format!("HTTPS://api.descope.com/{PROJECT}"),
        format!("https://API.descope.com/{PROJECT}"),
        format!("https:/api.descope.com/{PROJECT}"),
        format!("https://evil.example/{PROJECT}"),
        format!("https://api.descope.com.evil.example/{PROJECT}"),
        format!("https://evil.example/api.descope.com/{PROJECT}"),
        format!("https://api.descope.com@evil.example/{PROJECT}"),
        format!("https://evil.example#api.descope.com/{PROJECT}"),
        format!("https://evil.example\\api.descope.com/{PROJECT}"),
        format!("https://user@api.descope.com/{PROJECT}"),
        format!("https://api.descope.com:444/{PROJECT}"),
        format!("https://auth.example.com/{PROJECT}"),
        format!("https://api.use1.descope.com/{PROJECT}"),
        format!("https://api.descope.com{PROJECT}"),
        "https://api.descope.com/".to_owned(),
        "https://api.descope.com".to_owned(),
        "https://api.descope.com/P2other".to_owned(),
        format!("https://api.descope.com/{PROJECT}/a/b"),
        format!("https://api.descope.com/{PROJECT}/"),
        format!("https://api.descope.com//{PROJECT}"),
        format!("https://api.descope.com/{PROJECT}/.."),
        format!("https://api.descope.com/x/../{PROJECT}"),
        format!("https://api.descope.com/P2other/?{PROJECT}"),
        format!("https://api.descope.com/P2other?/{PROJECT}"),
        format!("https://api.descope.com/P2other#/{PROJECT}"),
        format!("https://api.descope.com/%50{}", &PROJECT[1..]),
        format!("https://api.descope.com/{PROJECT}?x"),
        format!("https://api.descope.com/{PROJECT}#x"),
        "https://old.example.com/realm".to_owned(),
        "https://old.example.com/realm?x=12".to_owned(),
    ] {
        case(json!(bad), wrong);
    }
    for shape in [
        json!([PROJECT]),
        json!({"iss": PROJECT}),
        json!(1),
        Value::Null,
    ] {
        case(shape, wrong);
    }
    run(&validator, cases);
    let none = fixture.rsa.sign(&fixture.with(json!({"iss": null})));
    assert_eq!(problem(&validator, &none), wrong);
}

#[test]
fn the_host_of_a_projects_region_may_issue() {
    let fixture = Fixture::new();
    let id = "Puse12aAc4T2V93bddihGEx2Ryhc8e5Z";
    let validator = SessionValidator::builder(id)
        .key_set(key_set(&[&fixture.rsa]))
        .build()
        .unwrap();
    let token = |issuer: String| fixture.rsa.sign(&fixture.with(json!({ "iss": issuer })));
    let regional = token(format!("https://api.use1.descope.com/{id}"));
    assert_eq!(problem(&validator, &regional), None);
    let other = token(format!("https://api.euc1.descope.com/{id}"));
    assert_eq!(problem(&validator, &other), Some(TokenProblem::WrongIssuer));
}

#[test]
fn audiences() {
    let fixture = Fixture::new();
    let open = fixture.validator();
    let strict = fixture
        .builder()
        .audience("https://api.example.com")
        .audience("https://api2.example.com")
        .build()
        .unwrap();
    let wrong = Some(TokenProblem::WrongAudience);
    let table: [(Value, Option<TokenProblem>, Option<TokenProblem>); 12] = [
        // The claim, the verdict without configured audiences, the verdict with.
        (json!(PROJECT), None, wrong),
        (json!([PROJECT]), None, wrong),
        (json!(["x", PROJECT]), None, wrong),
        (json!("https://api.example.com"), wrong, None),
        (json!(["x", "https://api2.example.com"]), wrong, None),
        (json!("https://api.example.com/"), wrong, wrong),
        (json!("HTTPS://api.example.com"), wrong, wrong),
        (json!([]), wrong, wrong),
        (json!(""), wrong, wrong),
        (json!(7), wrong, wrong),
        (
            json!([7, [PROJECT], ["https://api.example.com"]]),
            wrong,
            wrong,
        ),
        (
            json!({PROJECT: PROJECT, "x": "https://api.example.com"}),
            wrong,
            wrong,
        ),
    ];
    for key in fixture.keys() {
        for (aud, when_open, when_strict) in &table {
            let token = key.sign(&fixture.with(json!({ "aud": aud })));
            assert_eq!(problem(&open, &token), *when_open, "open, aud {aud}");
            assert_eq!(problem(&strict, &token), *when_strict, "strict, aud {aud}");
        }
        let without = key.sign(&fixture.claims());
        assert_eq!(problem(&open, &without), None);
        assert_eq!(problem(&strict, &without), wrong);
        let mut null = fixture.claims();
        null["aud"] = Value::Null;
        assert_eq!(problem(&open, &key.sign(&null)), None, "null is none");
        assert_eq!(problem(&strict, &key.sign(&null)), wrong);
    }
}

#[tokio::test]
async fn session_tokens_and_refresh_tokens_are_told_apart() {
    let fixture = Fixture::new();
    let plain = fixture.validator();
    let custom = fixture
        .builder()
        .session_cookie_name("MYDS")
        .refresh_cookie_name("MYDSR")
        .build()
        .unwrap();
    // The claims, and of which kind the default and the customised validator take the token to be.
    let (session, refresh, both, none) =
        ((true, false), (false, true), (true, true), (false, false));
    let table = [
        (json!({"drn": "DS"}), session, session),
        (json!({"drn": "DSR"}), refresh, refresh),
        (json!({"drn": "MYDS"}), none, session),
        (json!({"drn": "MYDSR"}), none, refresh),
        (json!({"drn": "ds"}), none, none),
        (json!({"drn": ""}), none, none),
        (json!({"drn": ["DS"]}), none, none),
        (json!({"drn": 1}), none, none),
        // Before `drn` there was `cookieName`.
        (json!({"cookieName": "DS", "drn": null}), session, session),
        (json!({"cookieName": "DSR", "drn": null}), refresh, refresh),
        (json!({"cookieName": "DS", "drn": "DSR"}), refresh, refresh),
        // OIDC tokens have neither.
        (
            json!({"drn": null, "token_type": "access_token"}),
            session,
            session,
        ),
        (
            json!({"drn": null, "token_type": "refresh_token"}),
            refresh,
            refresh,
        ),
        (json!({"drn": null, "token_type": "id_token"}), none, none),
        (json!({"drn": null, "token_type": 1}), none, none),
        (
            json!({"drn": "DSR", "token_type": "access_token"}),
            refresh,
            refresh,
        ),
        (json!({"drn": null}), both, both),
    ];
    for key in fixture.keys() {
        for (change, by_plain, by_custom) in &table {
            let token = key.sign(&fixture.with(change.clone()));
            for (validator, expected) in [(&plain, by_plain), (&custom, by_custom)] {
                let as_session = validator.validate_cached(&SessionToken::new(token.as_str()));
                let as_refresh = validator
                    .validate_refresh(&RefreshToken::new(token.as_str()))
                    .await;
                assert_eq!(
                    (as_session.is_ok(), as_refresh.is_ok()),
                    *expected,
                    "{change}"
                );
                let errors = [as_session.err(), as_refresh.err()];
                for error in errors.into_iter().flatten() {
                    assert_eq!(
                        error.token_problem(),
                        Some(TokenProblem::WrongTokenType),
                        "{change}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn refresh_tokens_go_through_the_same_checks() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let good = refresh_claims(fixture.clock.now());
    let attacker = Key::rsa("rsa-key");
    let table = [
        (fixture.rsa.sign(&good), None),
        (fixture.ec.sign(&good), None),
        (attacker.sign(&good), Some(TokenProblem::InvalidSignature)),
        (
            fixture.rsa.sign(&merged(good.clone(), json!({"exp": 1}))),
            Some(TokenProblem::Expired),
        ),
        (
            fixture.rsa.sign(&merged(good.clone(), json!({"iss": "x"}))),
            Some(TokenProblem::WrongIssuer),
        ),
        (
            fixture.rsa.sign(&merged(good.clone(), json!({"aud": "x"}))),
            Some(TokenProblem::WrongAudience),
        ),
        (
            fixture
                .rsa
                .sign(&merged(good.clone(), json!({"cnf": {"jkt": "x"}}))),
            Some(TokenProblem::SenderConstrained),
        ),
    ];
    for (token, expected) in table {
        let found = validator.validate_refresh(&RefreshToken::new(token)).await;
        assert_eq!(
            found.err().and_then(|error| error.token_problem()),
            expected
        );
    }
    let empty = validator.validate_refresh(&RefreshToken::new("")).await;
    assert!(matches!(empty, Err(SessionError::Missing)));
}

#[test]
fn bound_tokens_are_no_bearer_tokens() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let bound = Some(TokenProblem::SenderConstrained);
    let table = [
        (
            json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
            bound,
        ),
        (
            json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
            bound,
        ),
        (json!({"jkt": ""}), bound),
        (json!({"jkt": 1}), bound),
        (json!("jkt"), bound),
        (json!([]), bound),
        (json!({}), None),
    ];
    for key in fixture.keys() {
        for (cnf, expected) in &table {
            let token = key.sign(&fixture.with(json!({ "cnf": cnf })));
            assert_eq!(problem(&validator, &token), *expected, "{cnf}");
        }
    }
}

#[test]
fn a_session_has_a_user() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let table = [
        (json!({"sub": "U1"}), Some("U1")),
        (json!({"sub": "custom", "dsub": "U1"}), Some("U1")),
        (json!({"sub": null, "dsub": "U1"}), Some("U1")),
        (json!({"sub": "U1", "dsub": ""}), Some("U1")),
        (json!({"sub": "U1", "dsub": 1}), None),
        (json!({"sub": "U1", "dsub": ["U2"]}), None),
        (json!({"sub": null}), None),
        (json!({"sub": ""}), None),
        (json!({"sub": 1}), None),
        (json!({"sub": ["U1"]}), None),
    ];
    for (change, user) in table {
        let token = fixture.rsa.sign(&fixture.with(change.clone()));
        match (validate(&validator, &token), user) {
            (Ok(session), Some(user)) => assert_eq!(session.user_id(), user, "{change}"),
            (Err(error), None) => assert_eq!(
                error.token_problem(),
                Some(TokenProblem::InvalidClaim(Claim::Subject)),
                "{change}"
            ),
            (found, _) => panic!("{change}: {found:?}"),
        }
    }
}

#[test]
fn signatures() {
    let fixture = Fixture::new();
    let validator = fixture.validator();
    let wrong = Some(TokenProblem::InvalidSignature);
    let mut cases: Vec<Case> = Vec::new();
    for key in fixture.keys() {
        let token = key.sign(&fixture.claims());
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = unb64(signature);
        let other = key.sign(&fixture.with(json!({"sub": "U2"})));
        let mut case = |name: &str, signature: Vec<u8>| {
            cases.push((
                format!("{}: {name}", key.alg()),
                format!("{input}.{}", b64(signature)),
                wrong,
            ));
        };
        case("of another token", unb64(other.rsplit_once('.').unwrap().1));
        case("cut off", signature[..signature.len() - 1].to_vec());
        case("one byte more", [&signature[..], &[0]].concat());
        case("a zero before", [&[0], &signature[..]].concat());
        case("all zero", vec![0; signature.len()]);
        case("all ones", vec![0xff; signature.len()]);
        case("of 1 KiB", vec![1; 1024]);
        case("of 8 KiB", vec![1; 8192]);
        let half = signature.len() / 2;
        case(
            "halves swapped",
            [&signature[half..], &signature[..half]].concat(),
        );
    }
    let token = fixture.ec.sign(&fixture.claims());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = unb64(signature);
    let (r, s) = signature.split_at(32);
    let (zero, order) = ([0; 32], unb64(P256_ORDER));
    let mut one = [0; 32];
    one[31] = 1;
    let der = [&[0x30, 68, 2, 32], r, &[2, 32], s].concat();
    for (name, bytes) in [
        ("r zero", [&zero, s].concat()),
        ("s zero", [r, &zero].concat()),
        ("r and s one", [one, one].concat()),
        ("r the order", [&order, s].concat()),
        ("s the order", [r, &order].concat()),
        ("s all ones", [r, &[0xff; 32]].concat()),
        ("r beyond the order by r", [&add(r, &order), s].concat()),
        ("DER", der),
        ("of 96 bytes", [&[0; 16], r, &[0; 16], s].concat()),
    ] {
        cases.push((name.to_owned(), format!("{input}.{}", b64(bytes)), wrong));
    }
    // The twin with n - s is a signature as good as the first, so token texts identify nothing.
    let twin = [r, &subtract(&order, s)].concat();
    cases.push(("twin".to_owned(), format!("{input}.{}", b64(twin)), None));
    run(&validator, cases);
}

/// Sum of two numbers of 32 bytes, modulo 2^256.
fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = u16::from(*a) + u16::from(*b) + carry;
            carry = digit >> 8;
            digit as u8
        })
        .collect();
    sum.reverse();
    sum
}

fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut negated: Vec<u8> = b.iter().map(|byte| !byte).collect();
    let mut one = vec![0; 32];
    one[31] = 1;
    negated = add(&negated, &one);
    add(a, &negated)
}

#[test]
fn rsa_padding_must_be_exact() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256};

    let fixture = Fixture::new();
    let validator = fixture.validator();
    let Pair::Rsa(pair) = &fixture.rsa.pair else {
        panic!("an RSA key")
    };
    let token = fixture.rsa.sign(&fixture.claims());
    let (input, _) = token.rsplit_once('.').unwrap();
    for encoding in [
        &RSA_PSS_SHA256 as &'static dyn aws_lc_rs::signature::RsaEncoding,
        &RSA_PKCS1_SHA512,
    ] {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            encoding,
            &SystemRandom::new(),
            input.as_bytes(),
            &mut signature,
        )
        .unwrap();
        let token = format!("{input}.{}", b64(signature));
        assert_eq!(
            problem(&validator, &token),
            Some(TokenProblem::InvalidSignature)
        );
    }
}

#[test]
fn es384_is_off_unless_asked_for() {
    let fixture = Fixture::new();
    let old = Key::p384(PROJECT);
    let set = key_set(&[&old, &fixture.rsa]);
    let build = |es384: bool| {
        let builder = SessionValidator::builder(PROJECT).key_set(set.as_str());
        if es384 {
            builder.allow_es384()
        } else {
            builder
        }
        .build()
        .unwrap()
    };
    let token = old.sign(&fixture.claims());
    assert_eq!(
        problem(&build(false), &token),
        Some(TokenProblem::UnsupportedAlgorithm)
    );
    assert_eq!(problem(&build(true), &token), None);
    assert_eq!(
        problem(&build(true), &fixture.rsa.sign(&fixture.claims())),
        None
    );
    let as_es256 = old.sign_with_header(&header(&old, json!({"alg": "ES256"})), &fixture.claims());
    assert_eq!(
        problem(&build(true), &as_es256),
        Some(TokenProblem::UnsupportedAlgorithm)
    );
}

#[test]
fn odd_keys_are_not_used() {
    let fixture = Fixture::new();
    let good = Key::rsa("good");
    let (rsa, ec) = (Key::rsa("k"), Key::p256("k"));
    let small_modulus = b64([&[0xc1], &[0x55; 127][..]].concat());
    let even_modulus = b64([&[0xc1], &[0x54; 255][..]].concat());
    let n = unb64(rsa.jwk()["n"].as_str().unwrap());
    let changed_y = {
        let mut y = unb64(ec.jwk()["y"].as_str().unwrap());
        y[31] ^= 1;
        b64(y)
    };
    let odd: Vec<(&str, &Key, Value)> = vec![
        ("no kid", &rsa, json!({"kid": null})),
        ("kid empty", &rsa, json!({"kid": ""})),
        ("kid a number", &rsa, json!({"kid": 7})),
        ("no kty", &rsa, json!({"kty": null})),
        ("kty unknown", &rsa, json!({"kty": "XYZ"})),
        ("kty of the other kind", &rsa, json!({"kty": "EC"})),
        ("kty of the other kind, EC", &ec, json!({"kty": "RSA"})),
        ("symmetric", &rsa, json!({"kty": "oct", "k": "c2VjcmV0"})),
        ("use enc", &rsa, json!({"use": "enc"})),
        ("use a list", &rsa, json!({"use": ["sig"]})),
        ("key_ops without verify", &rsa, json!({"key_ops": ["sign"]})),
        ("key_ops empty", &rsa, json!({"key_ops": []})),
        ("key_ops a text", &rsa, json!({"key_ops": "verify"})),
        (
            "key_ops twice verify",
            &rsa,
            json!({"key_ops": ["verify", "verify"]}),
        ),
        ("alg PS256", &rsa, json!({"alg": "PS256"})),
        ("alg RS512", &rsa, json!({"alg": "RS512"})),
        ("alg RSA-OAEP", &rsa, json!({"alg": "RSA-OAEP"})),
        ("alg none", &rsa, json!({"alg": "none"})),
        ("alg of the other kind", &rsa, json!({"alg": "ES256"})),
        ("alg of the other kind, EC", &ec, json!({"alg": "RS256"})),
        ("alg of another curve", &ec, json!({"alg": "ES384"})),
        ("alg a number", &rsa, json!({"alg": 256})),
        ("no n", &rsa, json!({"n": null})),
        ("n empty", &rsa, json!({"n": ""})),
        (
            "n with padding",
            &rsa,
            json!({"n": format!("{}=", rsa.jwk()["n"].as_str().unwrap())}),
        ),
        ("n in plain base64", &rsa, json!({"n": "+/".repeat(170)})),
        (
            "n with a leading zero",
            &rsa,
            json!({"n": b64([&[0], &n[..]].concat())}),
        ),
        ("n of 1024 bits", &rsa, json!({"n": small_modulus})),
        (
            "n of 2047 bits",
            &rsa,
            json!({"n": b64([&[0x7f], &n[1..]].concat())}),
        ),
        (
            "n of 16384 bits",
            &rsa,
            json!({"n": b64([&[0xff; 2047], &[0x55][..]].concat())}),
        ),
        ("n even", &rsa, json!({"n": even_modulus})),
        ("no e", &rsa, json!({"e": null})),
        ("e 0", &rsa, json!({"e": "AA"})),
        ("e 1", &rsa, json!({"e": "AQ"})),
        ("e 2", &rsa, json!({"e": "Ag"})),
        ("e 3", &rsa, json!({"e": "Aw"})),
        ("e 65536", &rsa, json!({"e": "AQAA"})),
        ("e 65538", &rsa, json!({"e": "AQAC"})),
        ("e with a leading zero", &rsa, json!({"e": "AAEAAQ"})),
        ("e huge", &rsa, json!({"e": b64([1; 100])})),
        ("private", &rsa, json!({"d": "AQAB"})),
        ("private, EC", &ec, json!({"d": "AQAB"})),
        ("private in part", &rsa, json!({"p": "AQAB"})),
        ("the ROCA mark", &rsa, json!({"n": b64(roca_modulus())})),
        ("crv unknown", &ec, json!({"crv": "P-257"})),
        ("crv secp256k1", &ec, json!({"crv": "secp256k1"})),
        ("crv of another size", &ec, json!({"crv": "P-384"})),
        ("no crv", &ec, json!({"crv": null})),
        ("no x", &ec, json!({"x": null})),
        ("x too short", &ec, json!({"x": b64([1; 31])})),
        (
            "x too long",
            &ec,
            json!({"x": b64([[0; 1].as_slice(), &[1; 32]].concat())}),
        ),
        ("off the curve", &ec, json!({"y": changed_y})),
        (
            "zero point",
            &ec,
            json!({"x": b64([0; 32]), "y": b64([0; 32])}),
        ),
        ("x beyond the field", &ec, json!({"x": b64([0xff; 32])})),
    ];
    for (name, key, change) in odd {
        let jwk = merged(key.jwk(), change);
        // Alone it is no key set at all ...
        let alone = SessionValidator::builder(PROJECT).key_set(jwks(vec![jwk.clone()]));
        assert!(alone.build().is_err(), "{name}: usable alone");
        // ... and beside a good key it is passed over.
        let validator = SessionValidator::builder(PROJECT)
            .key_set(jwks(vec![jwk, good.jwk()]))
            .build()
            .unwrap();
        let token = good.sign(&fixture.claims());
        assert_eq!(
            problem(&validator, &token),
            None,
            "{name}: takes others down"
        );
        let token = key.sign(&fixture.claims());
        assert_eq!(
            problem(&validator, &token),
            Some(TokenProblem::UnknownKey),
            "{name}"
        );
    }
}

/// A number of 2049 bits with the mark of a flawed key: a power of 65537 modulo every small prime.
fn roca_modulus() -> Vec<u8> {
    let mut number = vec![1_u8];
    for _ in 0..128 {
        // Times 65537: itself plus itself shifted by two bytes.
        let mut product = number.clone();
        product.extend([0, 0]);
        let mut carry = 0_u16;
        for at in (0..product.len()).rev() {
            let low = (at + number.len()).checked_sub(product.len());
            let add = low.map_or(0, |at| u16::from(number[at]));
            let digit = u16::from(product[at]) + add + carry;
            product[at] = digit as u8;
            carry = digit >> 8;
        }
        number = product;
    }
    number
}

#[test]
fn usable_keys_of_unusual_form_are_used() {
    let fixture = Fixture::new();
    let (rsa, ec) = (Key::rsa("k"), Key::p256("k"));
    let large = Key::rsa_of_size("k", aws_lc_rs::rsa::KeySize::Rsa4096);
    for (name, key, change) in [
        ("no alg", &rsa, json!({"alg": null})),
        ("no alg, EC", &ec, json!({"alg": null})),
        ("no use", &rsa, json!({"use": null})),
        ("key_ops", &ec, json!({"use": null, "key_ops": ["verify"]})),
        (
            "key_ops with more",
            &rsa,
            json!({"key_ops": ["sign", "verify"]}),
        ),
        (
            "members of no meaning",
            &rsa,
            json!({"x5t": "AAAA", "crv": "P-256", "iat": 1.5}),
        ),
        ("4096 bits", &large, json!({})),
    ] {
        let jwk = merged(key.jwk(), change);
        for text in [jwks(vec![jwk.clone()]), jwk.to_string()] {
            let validator = SessionValidator::builder(PROJECT)
                .key_set(text)
                .build()
                .unwrap();
            assert_eq!(
                problem(&validator, &key.sign(&fixture.claims())),
                None,
                "{name}"
            );
        }
    }
}

#[test]
fn a_key_name_that_occurs_twice_is_not_used() {
    let fixture = Fixture::new();
    let (one, two, good) = (Key::rsa("same"), Key::p256("same"), Key::rsa("good"));
    let odd = merged(one.jwk(), json!({"kty": "XYZ"}));
    for others in [
        vec![one.jwk(), two.jwk()],
        vec![one.jwk(), one.jwk()],
        vec![odd, one.jwk()],
        vec![one.jwk(), two.jwk(), one.jwk()],
    ] {
        let mut keys = others;
        keys.push(good.jwk());
        let validator = SessionValidator::builder(PROJECT)
            .key_set(jwks(keys))
            .build()
            .unwrap();
        for key in [&one, &two] {
            let found = problem(&validator, &key.sign(&fixture.claims()));
            assert_eq!(found, Some(TokenProblem::UnknownKey));
        }
        assert_eq!(problem(&validator, &good.sign(&fixture.claims())), None);
    }
    // A member that occurs twice within a key.
    let text = one.jwk().to_string();
    let twice = format!(r#"{{"keys":[{{"n":"AQAB",{},{}]}}"#, &text[1..], good.jwk());
    let validator = SessionValidator::builder(PROJECT)
        .key_set(twice)
        .build()
        .unwrap();
    let found = problem(&validator, &one.sign(&fixture.claims()));
    assert_eq!(found, Some(TokenProblem::UnknownKey));
    assert_eq!(problem(&validator, &good.sign(&fixture.claims())), None);
}

#[test]
fn what_is_just_short_enough_is_read() {
    let fixture = Fixture::new();
    let token = fixture.ec.sign(&fixture.claims());
    let of_size = |size| fixture.builder().max_token_bytes(size).build().unwrap();
    assert_eq!(problem(&of_size(token.len()), &token), None);
    let found = problem(&of_size(token.len() - 1), &token);
    assert_eq!(found, Some(TokenProblem::TooLarge));
    // 16 KB unless another limit is set.
    for (claim, expected) in [(11_000, None), (12_500, Some(TokenProblem::TooLarge))] {
        let claims = fixture.with(json!({"x": "a".repeat(claim)}));
        let token = fixture.ec.sign(&claims);
        assert_eq!(problem(&fixture.validator(), &token), expected, "{claim}");
    }
    // A header of 4096 characters, and one of a few more.
    let bare = header(&fixture.ec, json!({"x": ""})).to_string().len();
    for (size, expected) in [(3072, None), (3075, Some(TokenProblem::Malformed))] {
        let header = header(&fixture.ec, json!({"x": "a".repeat(size - bare)}));
        let token = fixture.ec.sign_with_header(&header, &fixture.claims());
        assert_eq!(token.find('.'), Some(size / 3 * 4));
        assert_eq!(problem(&fixture.validator(), &token), expected, "{size}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let fixture = Fixture::new();
    let builder = || fixture.builder();
    let second = Duration::from_secs(1);
    let refused: Vec<(&str, SessionValidatorBuilder)> = vec![
        ("project id", SessionValidator::builder("")),
        ("project id", SessionValidator::builder("P2/../x")),
        ("base URL", builder().base_url("ftp://example.com")),
        ("base URL", builder().base_url("https://u:p@example.com")),
        ("key_set", builder().key_set("")),
        ("key_set", builder().key_set("[]")),
        ("key_set", builder().key_set("{\"keys\": {}}")),
        ("key_set", builder().key_set("{\"keys\": []}")),
        ("key_set", builder().key_set("<html>")),
        ("issuer", builder().issuer("")),
        ("audience", builder().audience("")),
        ("session_cookie_name", builder().session_cookie_name("")),
        ("session_cookie_name", builder().session_cookie_name("DSR")),
        ("refresh_cookie_name", builder().refresh_cookie_name("")),
        ("session_cookie_name", builder().refresh_cookie_name("DS")),
        ("key_ttl", builder().key_ttl(Duration::ZERO)),
        ("max_key_age", builder().max_key_age(second)),
        (
            "unknown_key_cooldown",
            builder().unknown_key_cooldown(Duration::ZERO),
        ),
        (
            "key_fetch_timeout",
            builder().key_fetch_timeout(Duration::ZERO),
        ),
    ];
    for (name, builder) in refused {
        let text = builder.build().expect_err(name).to_string();
        assert!(text.contains(name), "{name}: {text}");
    }
    for (key_set, words) in [
        ("{\"keys\": []}", "no usable key"),
        ("<html>", "is not JSON"),
    ] {
        let text = builder().key_set(key_set).build().unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
    // The least that can work.
    let least = builder().key_ttl(second).max_key_age(second);
    least.unknown_key_cooldown(second).build().unwrap();
}

#[test]
fn nothing_printed_holds_a_token() {
    let fixture = Fixture::new();
    let canary = "CANARY";
    let attacker = Key::rsa("rsa-key");
    let validator = fixture
        .builder()
        .token_cache_bytes(1 << 20)
        .build()
        .unwrap();
    let good = fixture.rsa.sign(&fixture.with(json!({"secret": canary})));
    let session = validate(&validator, &good).unwrap();
    let mut printed = vec![format!("{session:?} {validator:?} {:?}", fixture.builder())];
    let tokens = [
        attacker.sign(&fixture.with(json!({"secret": canary}))),
        fixture.rsa.sign(&fixture.with(json!({"iss": canary}))),
        fixture.rsa.sign(&fixture.with(json!({"aud": canary}))),
        fixture.rsa.sign(&fixture.with(json!({"drn": canary}))),
        fixture.rsa.sign(&fixture.with(json!({"exp": canary}))),
        fixture.rsa.sign_with_header(
            &header(&fixture.rsa, json!({"kid": canary})),
            &fixture.claims(),
        ),
        fixture.rsa.sign_with_header(
            &header(&fixture.rsa, json!({"alg": canary})),
            &fixture.claims(),
        ),
        fixture.rsa.sign_texts(canary, canary),
        format!("{canary}.{canary}.{canary}"),
        canary.to_owned(),
    ];
    for token in &tokens {
        let error = validate(&validator, token).unwrap_err();
        printed.push(format!("{error} {error:?}"));
    }
    for text in printed {
        assert!(!text.contains(canary), "{text}");
        for token in tokens.iter().chain([&good]) {
            for part in token.split('.').filter(|part| part.len() > 10) {
                assert!(!text.contains(part), "{text}");
            }
        }
    }
}

#[test]
fn remembered_tokens_get_the_same_results() {
    let fixture = Fixture::new();
    let plain = fixture.validator();
    let remembering = fixture
        .builder()
        .token_cache_bytes(1 << 20)
        .build()
        .unwrap();
    let now = fixture.now();
    let mut tokens = Vec::new();
    for key in fixture.keys() {
        tokens.push(key.sign(&fixture.claims()));
        tokens.push(key.sign(&fixture.with(json!({"exp": now + 10}))));
        tokens.push(key.sign(&fixture.with(json!({"exp": now - 10}))));
        tokens.push(key.sign(&fixture.with(json!({"iss": "x"}))));
        let mut changed = key.sign(&fixture.claims());
        changed.pop();
        tokens.push(changed);
    }
    for step in [0, 0, 9, 5, 1, 600] {
        fixture.clock.advance(Duration::from_secs(step));
        for token in &tokens {
            assert_eq!(
                problem(&remembering, token),
                problem(&plain, token),
                "after {step} s"
            );
        }
    }
}

#[test]
fn a_remembered_token_is_refused_once_its_name_is_that_of_another_key() {
    let fixture = Fixture::new();
    let keys = [Key::p256("same"), Key::p256("same"), Key::rsa("same")];
    for (one, other) in [(0, 1), (1, 0), (0, 2), (2, 0)].map(|(a, b)| (&keys[a], &keys[b])) {
        let builder = fixture.builder().key_set(key_set(&[one]));
        let validator = builder.token_cache_bytes(1 << 20).build().unwrap();
        let token = one.sign(&fixture.claims());
        // Also with the very key in a new set.
        for _ in 0..2 {
            assert_eq!(problem(&validator, &token), None);
            validator.replace_key_set(key_set(&[one])).unwrap();
        }
        assert_eq!(problem(&validator, &token), None);
        validator.replace_key_set(key_set(&[other])).unwrap();
        assert!(problem(&validator, &token).is_some());
    }
}

#[test]
fn memory_of_tokens_is_bounded() {
    let fixture = Fixture::new();
    let validator = fixture
        .builder()
        .token_cache_bytes(32 << 10)
        .build()
        .unwrap();
    for n in 0..500 {
        let token = fixture
            .ec
            .sign(&fixture.with(json!({"sub": format!("U{n}")})));
        for _ in 0..2 {
            assert_eq!(
                validate(&validator, &token).unwrap().user_id(),
                format!("U{n}")
            );
        }
    }
}
