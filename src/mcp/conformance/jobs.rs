//! The suite's tools that become tasks: the call is answered with a task, which the client polls, answers and
//! cancels.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult, Tool,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::rounds::{self, Question};
use super::{missing, plain, text, tool};

type Outcome = Result<CallToolResult, TaskExit>;

pub(super) fn tools() -> Vec<Tool> {
    let compute = json!({
        "type": "object",
        "properties": {"seconds": {"type": "integer"}, "label": {"type": "string"}},
        "required": ["seconds"],
    });
    let file =
        json!({"type": "object", "properties": {"filename": {"type": "string"}}, "required": ["filename"]});
    vec![
        tool("slow_compute", "takes its time", compute),
        plain("failing_job", "fails after a while"),
        plain("protocol_error_job", "breaks off"),
        tool("confirm_delete", "asks before it goes on", file),
        plain("multi_input", "asks two things before it goes on"),
        plain("test_tool_with_task", "asks first, then becomes a task"),
    ]
}

/// `None` if the tool is not one of these.
///
/// # Errors
///
/// If the client does not know tasks and the tool cannot do without.
pub(super) async fn call(
    tasks: &TaskManager,
    params: &CallToolRequestParams,
    can: &ClientCapabilities,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let arguments = params.arguments.as_ref();
    if params.name == "slow_compute" {
        let seconds = arguments.and_then(|arguments| arguments.get("seconds")).and_then(Value::as_u64);
        let seconds = Duration::from_secs(seconds.unwrap_or_default());
        let done = says(&format!("computed {}", text(arguments, "label")));
        if !can.supports_tasks() {
            sleep(seconds).await;
            return Ok(Some(done.into()));
        }
        return Ok(Some(spawn(tasks, move |task| compute(task, seconds, done))));
    }
    if !tools().iter().any(|tool| tool.name == params.name) {
        return Ok(None);
    }
    if !can.supports_tasks() {
        return Err(missing(ClientCapabilities::builder().enable_tasks().build()));
    }
    let response = match params.name.as_ref() {
        "failing_job" => spawn(tasks, async |_| {
            sleep(Duration::from_secs(1)).await;
            Ok(CallToolResult::error(vec![ContentBlock::text("the job failed")]))
        }),
        "confirm_delete" => {
            let file = text(arguments, "filename").to_owned();
            spawn(tasks, move |task| confirm(task, file))
        }
        "multi_input" => spawn(tasks, async |task| {
            let (name, confirm) = (
                Question::elicit("name", "What is your name?", "name", "string"),
                Question::elicit("confirm", "Are you sure?", "confirm", "boolean"),
            );
            tokio::try_join!(
                task.request_input("name", name.request()?),
                task.request_input("confirm", confirm.request()?)
            )?;
            Ok(says("both were answered"))
        }),
        "test_tool_with_task" => {
            let questions = [Question::elicit("user_name", "What is your name?", "name", "string")];
            match rounds::ask(&questions, params.input_responses.as_ref(), None)? {
                Err(ask) => ask.into(),
                Ok(answers) => {
                    spawn(tasks, async move |_| Ok(says(&format!("Hello, {}!", answers.join(", ")))))
                }
            }
        }
        _ => spawn(tasks, async |_| Err(ErrorData::internal_error("the job broke off", None).into())),
    };
    Ok(Some(response))
}

fn spawn<F>(tasks: &TaskManager, job: impl FnOnce(TaskContext) -> F) -> CallToolResponse
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let task = tasks.spawn(TaskOptions::default(), |context| Box::pin(job(context)));
    CreateTaskResult::new(task).into()
}

async fn compute(task: TaskContext, time: Duration, done: CallToolResult) -> Outcome {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = sleep(time) => Ok(done),
    }
}

async fn confirm(task: TaskContext, file: String) -> Outcome {
    let question = Question::elicit("confirm", &format!("Delete {file}?"), "confirm", "boolean");
    let answer = task.request_input("confirm", question.request()?).await?;
    let deleted = answer.pointer("/content/confirm") == Some(&Value::Bool(true));
    Ok(says(&format!("{} {file}", if deleted { "deleted" } else { "kept" })))
}

fn says(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}
