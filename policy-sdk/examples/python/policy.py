"""`four-eyes`: important work is not declared done by the one who did it, unless a person agrees."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.types import (
    Description,
    Fact,
    FactRequest,
    Reason,
    ToolCall,
    Verdict,
    Verdict_Abstain,
    Verdict_Escalate,
)

PRIORITIES = ("high", "medium", "low")

# What `configure` prepared. The host takes a snapshot of the instance after it, and every evaluation starts from that.
important: frozenset[str] = frozenset()


class Metadata(exports.Metadata):
    def configure(self, settings: str) -> Description:
        given = json.loads(settings)
        priorities = given.pop("priorities", ["high"])
        complaints = [f"there is no setting `{key}`, only priorities" for key in given]
        if not isinstance(priorities, list):
            complaints.append("`priorities` is not a list")
        else:
            complaints += [
                f"priority {json.dumps(priority)} is none of {', '.join(PRIORITIES)}"
                for priority in priorities
                if priority not in PRIORITIES
            ]
        if complaints:
            raise Err(complaints)

        global important
        important = frozenset(priorities)
        return Description(
            name="four-eyes",
            version="1.0.0",
            summary="important work is not declared done by the one who did it",
            facts=[FactRequest("target.task", [])],
        )


class Authorizer(exports.Authorizer):
    def authorize(self, call: ToolCall, facts: list[Fact]) -> Verdict:
        if call.tool != "update_task" or json.loads(call.arguments).get("status") != "done":
            return Verdict_Abstain()
        (task,) = (json.loads(fact.value) for fact in facts)
        # Without a task the tool itself says that there is none.
        if task is None or task["priority"] not in important or task["assignee"] != call.principal.name:
            return Verdict_Abstain()
        return Verdict_Escalate(
            Reason(
                code="own_work",
                message=f"task {task['id']} is of {task['priority']} priority and your own work: a person agrees first",
                notes=[f"created by {task['creator']}, reviewer {task['reviewer'] or 'nobody'}"],
            )
        )
