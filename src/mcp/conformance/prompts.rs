//! The suite's prompts.

use rmcp::ErrorData;
use rmcp::model::{
    ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult, Prompt, PromptArgument,
    PromptMessage, Role,
};

use super::content::PNG;
use super::rounds::{self, Question};
use super::{resources, text};

/// Name, description and required arguments.
const PROMPTS: [(&str, &str, &[&str]); 5] = [
    ("test_simple_prompt", "one message", &[]),
    ("test_prompt_with_arguments", "a message of its arguments", &["arg1", "arg2"]),
    ("test_prompt_with_embedded_resource", "a message with a resource in it", &["resourceUri"]),
    ("test_prompt_with_image", "a message with an image in it", &[]),
    ("test_input_required_result_prompt", "asks back before it answers", &[]),
];

pub(super) fn list() -> Vec<Prompt> {
    let argument = |name: &&str| PromptArgument::new(*name).with_description("text").with_required(true);
    let prompt = |(name, description, arguments): (_, _, &[&str])| {
        let arguments = arguments.iter().map(argument).collect::<Vec<_>>();
        Prompt::new(name, Some(description), (!arguments.is_empty()).then_some(arguments))
    };
    PROMPTS.into_iter().map(prompt).collect()
}

/// # Errors
///
/// If there is no such prompt.
pub(super) fn get(params: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name| text(params.arguments.as_ref(), name);
    let says = |text: &str| ContentBlock::text(text);
    let content = match params.name.as_str() {
        "test_simple_prompt" => vec![says("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (arg1, arg2) = (argument("arg1"), argument("arg2"));
            vec![says(&format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let words = "Embedded resource content for testing.";
            let resource = resources::text(argument("resourceUri"), "text/plain", words);
            vec![ContentBlock::resource(resource), says("Please process the embedded resource above.")]
        }
        "test_prompt_with_image" => {
            vec![ContentBlock::image(PNG, "image/png"), says("Please analyze the image above.")]
        }
        "test_input_required_result_prompt" => {
            let question = "What context should the prompt use?";
            let questions = [Question::elicit("user_context", question, "context", "string")];
            match rounds::ask(&questions, params.input_responses.as_ref(), None)? {
                Ok(answers) => vec![says(&format!("Prompt in the context {}", answers.join(", ")))],
                Err(ask) => return Ok(ask.into()),
            }
        }
        _ => return Err(ErrorData::invalid_params("unknown prompt", None)),
    };
    let messages = content.into_iter().map(|content| PromptMessage::new(Role::User, content)).collect();
    Ok(GetPromptResult::new(messages).into())
}
