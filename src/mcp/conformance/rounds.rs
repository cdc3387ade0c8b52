//! The suite's tools that ask back: a call is answered with questions, and asked again with their answers. What a
//! tool knows after a round travels in the client's hands, sealed.

use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, Tool,
};
use serde_json::{Value, json};

use super::{missing, plain};

/// Something to ask a client.
pub(super) struct Question {
    key: &'static str,
    request: Value,
    /// Where in the client's result the answer is, as a JSON pointer.
    answer: String,
}

impl Question {
    /// A person is asked for one value.
    pub(super) fn elicit(key: &'static str, message: &str, field: &str, kind: &str) -> Self {
        let properties = json!({field: {"type": kind}});
        let schema = json!({"type": "object", "properties": properties, "required": [field]});
        let params = json!({"message": message, "requestedSchema": schema});
        let request = json!({"method": "elicitation/create", "params": params});
        Self { key, request, answer: format!("/content/{field}") }
    }

    fn sample(key: &'static str, prompt: &str, max_tokens: u32) -> Self {
        let messages = json!([{"role": "user", "content": {"type": "text", "text": prompt}}]);
        let params = json!({"messages": messages, "maxTokens": max_tokens});
        let request = json!({"method": "sampling/createMessage", "params": params});
        Self { key, request, answer: "/content/text".to_owned() }
    }

    fn roots(key: &'static str) -> Self {
        Self { key, request: json!({"method": "roots/list"}), answer: "/roots/0/uri".to_owned() }
    }

    /// The question as a request.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(super) fn request(&self) -> Result<InputRequest, ErrorData> {
        serde_json::from_value(self.request.clone())
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

pub(super) fn tools() -> Vec<Tool> {
    vec![
        plain("test_missing_capability", "needs sampling"),
        plain("test_streaming_elicitation", "asks for a name"),
        plain("test_input_required_result_elicitation", "asks for a name"),
        plain("test_input_required_result_sampling", "asks the client's model"),
        plain("test_input_required_result_list_roots", "asks for the client's roots"),
        plain("test_input_required_result_request_state", "asks, and gives the client something to keep"),
        plain("test_input_required_result_tampered_state", "asks, and gives the client something to keep"),
        plain("test_input_required_result_multiple_inputs", "asks three things at once"),
        plain("test_input_required_result_multi_round", "asks, and asks again"),
        plain("test_input_required_result_capabilities", "asks what the client can answer"),
    ]
}

/// `None` if the tool is not one of these.
///
/// # Errors
///
/// If the client lacks what a tool needs, or did not keep what it was given.
pub(super) fn call(
    params: &CallToolRequestParams,
    can: &ClientCapabilities,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let name = || Question::elicit("user_name", "What is your name?", "name", "string");
    let kept = params.request_state.as_deref().map(unseal).transpose()?;
    let mut state = None;
    let questions = match params.name.as_ref() {
        "test_missing_capability" if can.sampling.is_none() => {
            return Err(missing(ClientCapabilities::builder().enable_sampling().build()));
        }
        "test_missing_capability" => vec![],
        "test_streaming_elicitation" | "test_input_required_result_elicitation" => vec![name()],
        "test_input_required_result_sampling" => {
            vec![Question::sample("capital_question", "What is the capital of France?", 100)]
        }
        "test_input_required_result_list_roots" => vec![Question::roots("client_roots")],
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            state = Some("asked");
            vec![Question::elicit("confirm", "Please confirm", "ok", "boolean")]
        }
        "test_input_required_result_multiple_inputs" => {
            state = Some("asked");
            let greeting = Question::sample("greeting", "Generate a greeting", 50);
            vec![name(), greeting, Question::roots("client_roots")]
        }
        "test_input_required_result_multi_round" => {
            let first = Question::elicit("step1", "Step 1: What is your name?", "name", "string");
            let second = Question::elicit("step2", "Step 2: What is your favorite color?", "color", "string");
            let answered = ask(std::slice::from_ref(&first), params.input_responses.as_ref(), None)?.is_ok();
            if kept == Some("second") || (kept == Some("first") && answered) {
                state = Some("second");
                vec![second]
            } else {
                state = Some("first");
                vec![first]
            }
        }
        "test_input_required_result_capabilities" => {
            let sampling =
                can.sampling.as_ref().map(|_| Question::sample("greeting", "Generate a greeting", 50));
            let elicitation = can.elicitation.as_ref().map(|_| name());
            sampling.into_iter().chain(elicitation).collect()
        }
        _ => return Ok(None),
    };
    let answers = match ask(&questions, params.input_responses.as_ref(), state)? {
        Ok(answers) if state == kept => answers.join(", "),
        // Answers to a round that was never asked.
        Ok(_) => return Err(ErrorData::invalid_params("requestState is missing", None)),
        Err(ask) => return Ok(Some(ask.into())),
    };
    let text = match params.name.as_ref() {
        "test_streaming_elicitation" | "test_input_required_result_elicitation" => {
            format!("Hello, {answers}!")
        }
        _ if state.is_some() => format!("state-ok: {answers}"),
        _ => format!("answered: {answers}"),
    };
    Ok(Some(CallToolResult::success(vec![ContentBlock::text(text)]).into()))
}

/// The answers to all questions, or else the result that asks them. Answers to other questions are not looked at.
///
/// # Errors
///
/// If a question is no request, or there is no randomness to seal with.
pub(super) fn ask(
    questions: &[Question],
    responses: Option<&InputResponses>,
    state: Option<&str>,
) -> Result<Result<Vec<String>, InputRequiredResult>, ErrorData> {
    let answer = |question: &Question| {
        let answer = responses?.get(question.key)?.pointer(&question.answer)?;
        Some(answer.as_str().map_or_else(|| answer.to_string(), str::to_owned))
    };
    if let Some(answers) = questions.iter().map(answer).collect() {
        return Ok(Ok(answers));
    }
    let requests = questions.iter().map(|question| Ok((question.key.to_owned(), question.request()?)));
    let requests = requests.collect::<Result<InputRequests, ErrorData>>()?;
    Ok(Err(InputRequiredResult::new(Some(requests), state.map(seal).transpose()?)))
}

/// A text that only this process can have sealed.
fn seal(text: &str) -> Result<String, ErrorData> {
    Ok(format!("{text}.{}", mac(text)?.to_hex()))
}

fn unseal(sealed: &str) -> Result<&str, ErrorData> {
    let broken = || ErrorData::invalid_params("requestState is not what this server gave out", None);
    let (text, seal) = sealed.rsplit_once('.').ok_or_else(broken)?;
    let seal = blake3::Hash::from_hex(seal).map_err(|_| broken())?;
    // Compared in constant time.
    if seal == mac(text)? { Ok(text) } else { Err(broken()) }
}

fn mac(text: &str) -> Result<blake3::Hash, ErrorData> {
    static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    let key = KEY.as_ref().ok_or_else(|| ErrorData::internal_error("no randomness", None))?;
    Ok(blake3::keyed_hash(key, text.as_bytes()))
}
