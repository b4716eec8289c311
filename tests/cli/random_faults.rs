//! After any sequence of faults: the program ends in time, never succeeds without a key, never sends an ID token twice,
//! and shows no secret. ([`Job::run_by`] checks the secrets and the outputs.)

use std::time::Duration;

use fastrand::Rng;
use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::Job;

/// Number of runs.
const STORIES: u64 = 200;

fn fault(random: &mut Rng, sandbox: &Sandbox) -> Fault {
    let secret = random.choice(sandbox.id_tokens()).unwrap_or_else(|| sandbox.request_token().to_owned());
    let status = *random.choice(&[200, 200, 302, 400, 401, 403, 408, 429, 429, 500, 502, 503, 503, 504]).unwrap();
    let body = match random.u8(..6) {
        0 => String::new(),
        1 => format!("<html>{secret}</html>"),
        2 => json!({ "error": format!("{secret}\n::error::{secret}"), "message": format!("##[error]{secret}") })
            .to_string(),
        3 => r#"{"error":"The JSON web token has expired.","message":"Can't issue ID_TOKEN for job in 'x' state."}"#
            .to_owned(),
        4 => r#"{"value":"a.b.c","apiKey":"#.to_owned(),
        _ => r#"{"value":7,"apiKey":null,"error":[1],"message":{}}"#.to_owned(),
    };
    let effect = match random.u8(..8) {
        0 => Effect::Answered,
        1 => Effect::Reset,
        2 => Effect::Lost,
        3 => Effect::CutOff(random.usize(..120)),
        4 => Effect::Bytes((0..random.usize(..64)).map(|_| random.u8(..)).collect()),
        _ => {
            let answer = Answer::json(status, body);
            match random.u8(..4) {
                0 => Effect::Instead(answer.with("Retry-After", &random.u16(..200).to_string())),
                1 => {
                    let mut bytes = answer.to_bytes();
                    bytes.truncate(random.usize(..bytes.len()));
                    Effect::Bytes(bytes)
                }
                _ => Effect::Instead(answer),
            }
        }
    };
    // Rarely, since it takes real time.
    let delay = if random.u8(..100) == 0 { Duration::from_secs(600) } else { Duration::ZERO };
    Fault { delay, effect }
}

#[test]
fn random_faults_end_in_time_with_a_true_result() {
    let tell = |seed: u64| {
        let mut random = Rng::with_seed(seed);
        let sandbox =
            Sandbox::with(|config| config.service.seconds_between_keys = [0.0, 10.0, 30.0][random.usize(..3)]);
        for route in [Route::IdToken, Route::TokenService] {
            for nth in 1..=random.usize(..12) {
                if random.u8(..4) > 0 {
                    sandbox.fault(route, nth, fault(&mut random, &sandbox));
                }
            }
        }
        let timeout = 1 + random.u64(..200);
        let clock = FastClock::impatient(&sandbox);
        let step = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", timeout.to_string()).run_by(&clock);

        let context = format!("seed {seed}: {}", step.log);
        assert!(clock.elapsed() <= Duration::from_secs(timeout + 1), "{context}");
        if step.code == 0 {
            assert!(sandbox.api_keys().contains(&step.outputs["NUGET_API_KEY"]), "{context}");
        }
        let requests = sandbox.requests();
        let exchanges = requests.iter().filter(|request| request.route == Route::TokenService);
        let mut bearers = exchanges.flat_map(|request| request.header("authorization")).collect::<Vec<_>>();
        let exchanged = bearers.len();
        bearers.sort();
        bearers.dedup();
        assert_eq!(bearers.len(), exchanged, "{context}");
        (step.code == 0, clock.waits().len())
    };
    let told: Vec<_> = std::thread::scope(|scope| {
        let tellers =
            [0, 1, 2, 3].map(|first| scope.spawn(move || (first..STORIES).step_by(4).map(tell).collect::<Vec<_>>()));
        tellers.into_iter().flat_map(|teller| teller.join().unwrap()).collect()
    });
    // Or else the stories would be of one kind.
    let successes = told.iter().filter(|(success, _)| *success).count();
    assert!((20..180).contains(&successes), "{successes}");
    assert!(told.iter().any(|(success, waits)| *success && *waits > 3));
}
